"""Written types, read into types; declared inductive types."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ppl.lang import syntax as s
from ppl.lang.check.scope import DataDecl, Facts
from ppl.semantics import types as ty
from ppl.semantics.diagnostics import Diagnostic, Note, suggest

Report = Callable[[Diagnostic], None]

#: what an unreadable type becomes: it agrees with everything
UNKNOWN = ty.Base("_")
_HABITS = {
    "float": "real", "double": "real", "number": "real", "integer": "int", "boolean": "bool",
    "string": "text", "str": "text", "vector": "[real]", "matrix": "[[real]]", "simplex": "[prob]",
    "list": "[real]", "array": "[real]", "probability": "prob", "positive": "pos",
    "unit_interval": "prob",
}  # fmt: skip


def read_annotation(
    node: s.TypeExpr,
    facts: Facts,
    report: Report,
    variables: frozenset[str],
    *,
    optional: bool = False,
) -> ty.Type:
    """The type that is written; `variables` are the type parameters in scope. Reports E203."""
    if node in facts.annotations:
        return facts.annotations[node]
    t = _read(node, facts, report, variables, optional)
    facts.annotations[node] = t
    return t


def _read(
    node: s.TypeExpr, facts: Facts, report: Report, variables: frozenset[str], optional: bool
) -> ty.Type:
    def inner(e: s.TypeExpr) -> ty.Type:
        return _read(e, facts, report, variables, optional)

    match node:
        case s.TypeName(name=name, args=args):
            return _named(node, name, [inner(a) for a in args], facts, report, variables)
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
    facts: Facts,
    report: Report,
    variables: frozenset[str],
) -> ty.Type:
    arity = 0
    result: ty.Type
    if name in variables:
        result = ty.Base(name)
    elif name in ("dist", "measure"):
        arity = 1
        result = UNKNOWN
        if len(args) == 1:
            result = ty.Dist(args[0]) if name == "dist" else ty.Measure(args[0])
    elif name in facts.data:
        arity = len(facts.data[name].params)
        result = ty.Data(name, tuple(args))
    elif name in ty.NAMED:
        result = ty.NAMED[name]
    else:
        known = [*ty.NAMED, "dist", "measure", *facts.data, *variables]
        hint = f"write `{_HABITS[name]}`" if name in _HABITS else suggest(name, known)
        report(Diagnostic("E203", f"there is no type `{name}`", node.span, (), hint))
        return UNKNOWN
    if len(args) != arity:
        takes = f"takes {arity} argument{'s' * (arity != 1)}" if arity else "takes no arguments"
        report(Diagnostic("E203", f"type `{name}` {takes}, not {len(args)}", node.span))
        return UNKNOWN
    return result


def read_data(items: Sequence[s.Item], facts: Facts, report: Report) -> None:
    """Declared types: names first, so that they may be recursive, then constructors."""
    decls = [i for i in items if isinstance(i, s.TypeDecl)]
    for d in decls:
        facts.data[d.name] = DataDecl(d.name, d.type_params, {}, d.name_span)
    for d in decls:
        decl = facts.data[d.name]
        for c in d.constructors:
            if c.name in facts.constructors:
                first = facts.constructors[c.name]
                report(
                    Diagnostic(
                        "E202",
                        f"constructor `{c.name}` is defined twice",
                        c.span,
                        (Note(f"it also belongs to `{first.name}`", first.span),),
                        "constructors share one namespace: rename one of them",
                    )
                )
                continue
            fields = [read_annotation(f, facts, report, frozenset(d.type_params)) for f in c.fields]
            decl.fields[c.name] = tuple(fields)
            facts.constructors[c.name] = decl
