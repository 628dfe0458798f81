"""Written types, read into types; declared inductive types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ppl.lang import syntax as s
from ppl.lang.check.lookup import Names
from ppl.lang.check.scope import DataDecl, Facts
from ppl.lang.check.terms import from_type
from ppl.lang.check.texts import no_key, uncomparable
from ppl.lang.modules import Space
from ppl.semantics import types as ty
from ppl.semantics.diagnostics import Diagnostic, Note, suggest

Report = Callable[[Diagnostic], None]

#: what an unreadable type becomes: it agrees with everything
UNKNOWN = ty.Base("_")
#: names that no declared type can have
BUILT_IN = (*ty.NAMED, "dist", "measure", ty.MAP)

_HABITS = {
    "float": "real", "double": "real", "number": "real", "integer": "int", "boolean": "bool",
    "string": "text", "str": "text", "vector": "[real]", "matrix": "[[real]]", "simplex": "[prob]",
    "list": "[real]", "array": "[real]", "probability": "prob", "positive": "pos",
    "unit_interval": "prob",
}  # fmt: skip


@dataclass(frozen=True)
class Where:
    """The module that a type is written in."""

    names: Names
    space: Space

    @property
    def types(self) -> list[str]:
        """The types declared in it."""
        return [n for n, full in self.space.own.items() if full in self.names.facts.data]


def read_annotation(
    node: s.TypeExpr,
    where: Where,
    report: Report,
    variables: frozenset[str],
    *,
    optional: bool = False,
) -> ty.Type:
    """The type that is written; `variables` are the type parameters in scope. Reports E203."""
    annotations = where.names.facts.annotations
    if node not in annotations:
        annotations[node] = _read(node, where, report, variables, optional)
    return annotations[node]


def _read(
    node: s.TypeExpr, where: Where, report: Report, variables: frozenset[str], optional: bool
) -> ty.Type:
    def inner(e: s.TypeExpr) -> ty.Type:
        return _read(e, where, report, variables, optional)

    match node:
        case s.TypeName(name=name, args=args):
            return _named(node, name, [inner(a) for a in args], where, report, variables)
        case s.TypeArray(item=item):
            return ty.Array(inner(item))
        case s.TypeTuple(items=items):
            return ty.Tuple(tuple([inner(i) for i in items])) if items else ty.UNIT
        case s.TypeRecord(fields=fields):
            names = [k for k, _ in fields]
            if len(set(names)) < len(names):
                report(Diagnostic("E202", "a field is declared twice", node.span))
                return UNKNOWN
            return ty.Record(tuple([(k, inner(v)) for k, v in fields]))
        case s.TypeFun(params=params, result=result):
            return ty.Fun(tuple([inner(p) for p in params]), inner(result))
        case s.TypeOption(item=item):
            if not optional:
                report(
                    Diagnostic(
                        "E207",
                        "`?` marks missing data: it is allowed only in parameters of a model",
                        node.span,
                        (),
                        "inside a model the value is used as if it were known: drop the `?`",
                    )
                )
                return inner(item)
            return ty.Option(inner(item))
    return UNKNOWN


def _named(
    node: s.TypeName,
    name: str,
    args: list[ty.Type],
    where: Where,
    report: Report,
    variables: frozenset[str],
) -> ty.Type:
    arity = 0
    result: ty.Type
    declared = None if name in variables else where.names.type(where.space, name)
    if name in variables:
        result = ty.Base(name)
    elif name in ("dist", "measure"):
        arity = 1
        result = UNKNOWN
        if len(args) == 1:
            result = ty.Dist(args[0]) if name == "dist" else ty.Measure(args[0])
    elif declared is not None:
        arity = len(where.names.facts.data[declared].params)
        result = ty.Data(declared, tuple(args))
    elif name == ty.MAP:
        arity, result = 2, ty.Data(name, tuple(args))
    elif name in ty.NAMED:
        result = ty.NAMED[name]
    elif "." in name:
        _unknown_member(node, name, where, report)
        return UNKNOWN
    else:
        known = [*BUILT_IN, *where.types, *variables]
        hint = f"write `{_HABITS[name]}`" if name in _HABITS else suggest(name, known)
        report(Diagnostic("E203", f"there is no type `{name}`", node.span, (), hint))
        return UNKNOWN
    if len(args) != arity:
        takes = f"takes {arity} argument{'s' * (arity != 1)}" if arity else "takes no arguments"
        report(Diagnostic("E203", f"type `{name}` {takes}, not {len(args)}", node.span))
        return UNKNOWN
    if name == ty.MAP and declared is None:
        key = from_type(args[0], {})
        part = uncomparable(key)
        if part is not None:
            report(no_key(part, key, node.args[0]))
            return UNKNOWN
    return result


def _unknown_member(node: s.TypeName, name: str, where: Where, report: Report) -> None:
    alias, _, member = name.rpartition(".")
    module = where.space.modules.get(alias)
    if module is None:
        report(where.names.unknown_module(where.space, name, node))
    elif not module.broken:
        report(where.names.unknown_member(module, member, node, "type"))


def read_data(decls: Sequence[tuple[s.TypeDecl, Where]], facts: Facts, report: Report) -> None:
    """Declared types: names first, so that they may be recursive, then constructors."""

    def refuse(d: Diagnostic) -> None:
        facts.misdeclared |= d.code.startswith("E")
        report(d)

    for d, _ in decls:
        if d.name in BUILT_IN:
            what = "the type of maps" if d.name == ty.MAP else "a built-in type"
            hint = "give the type another name"
            refuse(Diagnostic("E202", f"`{d.name}` is {what}", d.name_span, (), hint))
            continue
        facts.data[d.name] = DataDecl(d.name, d.type_params, {}, d.name_span)
    for d, where in decls:
        if d.name not in facts.data:
            continue
        decl = facts.data[d.name]
        for c in d.constructors:
            if c.name in facts.constructors:
                first = facts.constructors[c.name]
                refuse(
                    Diagnostic(
                        "E202",
                        f"constructor `{c.name}` is defined twice",
                        c.span,
                        (Note(f"it also belongs to `{first.name}`", first.span),),
                        "constructors share one namespace: rename one of them",
                    )
                )
                continue
            fields = [read_annotation(f, where, refuse, frozenset(d.type_params)) for f in c.fields]
            decl.fields[c.name] = tuple(fields)
            facts.constructors[c.name] = decl
