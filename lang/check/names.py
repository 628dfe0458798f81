"""Resolution: what every name refers to, and the effects that syntax alone decides.

Functions may be used before they are defined. Locals hide functions, functions hide primitives.
"""

from __future__ import annotations

from collections.abc import Iterable

from ppl.lang import syntax as s
from ppl.lang.check.annotations import Report, Where, read_annotation, read_data
from ppl.lang.check.builtins import BUILTINS
from ppl.lang.check.effects import is_measure_block, misplaced, names_of
from ppl.lang.check.guide_laws import check_laws
from ppl.lang.check.guides import check_sites, check_strategy
from ppl.lang.check.lookup import Names
from ppl.lang.check.nested import settings
from ppl.lang.check.references import References, draws_data
from ppl.lang.check.scope import (
    Builtin,
    Facts,
    Local,
    Role,
    Scope,
)
from ppl.lang.modules import Linked, Space
from ppl.semantics.diagnostics import Diagnostic, Note, Span, suggest


def resolve(linked: Linked, facts: Facts, report: Report) -> None:
    """Fill `facts` for a program, reporting E2xx, E116 to E118 and the syntactic E5xx."""

    def declare(item: s.Item, space: Space) -> None:
        if isinstance(item, s.TypeDecl):
            read_data([(item, Where(names, space))], facts, report)
        elif isinstance(item, (s.Function, s.Guide)):
            facts.functions[item.name] = item
            facts.mentions[item.name] = []
            _Resolver(Where(names, space), report, item).run()

    names = Names(linked, facts, declare)
    _collect(linked, names, report)
    for item in linked.module.items:
        if isinstance(item, (s.Function, s.Guide)) and facts.functions.get(item.name) is item:
            _Resolver(Where(names, linked.spaces[item]), report, item).run()
    for item in linked.module.items:
        if isinstance(item, s.Guide):
            check_laws(item, facts, report)


def _collect(linked: Linked, names: Names, report: Report) -> None:
    facts = names.facts
    seen: dict[str, s.Item] = {}
    for item in linked.module.items:
        if item.name in seen:
            report(
                _twice(
                    f"`{item.name}` is defined twice",
                    item.name_span,
                    seen[item.name].name_span,
                    "rename one of them",
                )
            )
            continue
        seen[item.name] = item
        if isinstance(item, (s.Function, s.Guide)):
            facts.functions[item.name] = item
            facts.mentions[item.name] = []
            if item.name in BUILTINS and isinstance(item, s.Function) and item.kind == "fn":
                text = f"`{item.name}` hides the built-in function of that name in all of this file"
                hint = "give it another name, unless that is meant"
                report(Diagnostic("W502", text, item.name_span, (), hint))
    types = [i for i in seen.values() if isinstance(i, s.TypeDecl)]
    read_data([(i, Where(names, linked.spaces[i])) for i in types], facts, report)


class _Resolver(References):
    """One function's names. Recursion goes as deep as the syntax nests; blocks are loops."""

    def __init__(self, where: Where, report: Report, item: s.Function | s.Guide):
        super().__init__(where, report, item)
        self.where = where
        self.is_model = isinstance(item, s.Function) and item.kind == "model"
        self.variables = frozenset(item.type_params if isinstance(item, s.Function) else ())
        self.draws: list[tuple[Local, bool]] = []

    def run(self) -> None:
        item, scope = self.item, Scope()
        role: Role = "data" if self.is_model else "parameter"
        self.params(item.params, scope, role)
        if isinstance(item, s.Function):
            if self.is_model:
                for p in item.params:
                    if p.type is None:
                        self.report(
                            Diagnostic(
                                "E205",
                                f"parameter `{p.span.text}` of a model needs a type",
                                p.span,
                                (Note("a model's parameters are data, read from outside"),),
                                f"write `{p.span.text}: real`, or `[real]` for a vector",
                            )
                        )
            if item.result is not None:
                self.annotation(item.result)
        else:
            target = self.facts.functions.get(item.target)
            if target is None:
                self.report(
                    Diagnostic(
                        "E206",
                        f"guide `{item.name}` is for `{item.target}`, which is not a model here",
                        item.name_span,
                        (),
                        suggest(item.target, self.facts.functions),
                    )
                )
            else:
                check_sites(item, self.facts, self.report)
        self.expr(item.body, scope)
        self.facts.mentions[item.name] = list(self.mentioned)
        if item.name in self.facts.broken or isinstance(item, s.Guide):
            return  # what a guide draws, its model has by name
        for local, derived in self.draws:
            if local.uses == 0 and not derived and not local.name.startswith("_"):
                self.report(
                    Diagnostic(
                        "W501",
                        f"`{local.name}` is drawn but never used: its posterior is its prior",
                        local.span,
                        (),
                        f"use it, or name it `_{local.name}` if that is meant",
                    )
                )

    # -------------------------------------------------------------------------- parts

    def annotation(self, t: s.TypeExpr, *, optional: bool = False) -> None:
        read_annotation(t, self.where, self.report, self.variables, optional=optional)

    def params(self, params: Iterable[s.ParamDecl], scope: Scope, role: Role) -> None:
        seen: dict[str, s.PName] = {}
        for p in params:
            if p.type is not None:
                self.annotation(p.type, optional=role == "data")
            if p.default is not None:
                self.expr(p.default, Scope())
            for name in names_of(p.pattern):
                if name.name in seen:
                    what = f"two parameters are named `{name.name}`"
                    self.report(_twice(what, name.span, seen[name.name].span))
                seen[name.name] = name
            self.bind(p.pattern, scope, role)

    def bind(self, pattern: s.Pattern, scope: Scope, role: Role, random: bool = False) -> None:
        todo, bound = [pattern], dict[str, s.PName]()
        while todo:
            p = todo.pop()
            match p:
                case s.PName(name=name):
                    if name in bound:
                        what = f"`{name}` is bound twice in one pattern"
                        hint = "use `_` for a part that is not needed"
                        self.report(_twice(what, p.span, bound[name].span, hint))
                    bound[name] = p
                    local = Local(name, role, p.span, 0, random)
                    self.facts.binders[p] = local
                    scope.names[name] = local
                case s.PTuple(items=items):
                    todo += reversed(items)
                case s.PRecord(fields=fields):
                    todo += [q for _, q in reversed(fields)]
                case s.PCons(name=name, args=args):
                    self.constructor(p, name, scope, role)
                    todo += reversed(args)
                case _:
                    pass

    # --------------------------------------------------------------------- expressions

    def expr(self, e: s.Expr, scope: Scope) -> None:
        match e:
            case s.Name():
                self.name(e, scope)
            case s.Lit():
                pass
            case s.Binary(left=left, right=right):
                self.expr(left, scope)
                self.expr(right, scope)
            case s.Field() if self.qualified(e, scope):
                pass
            case s.Unary(value=value) | s.Field(value=value):
                self.expr(value, scope)
            case s.Call(fn=fn, args=args, named=named):
                self.expr(fn, scope)
                if isinstance(self.facts.meaning.get(fn), Builtin) and fn.span.text == "normalize":
                    args = (*args[:1], *settings(e))  # the second is the name of a method
                for a in args:
                    self.expr(a, scope)
                self.unique([(k, v) for k, v in named], "argument")
                for _, a in named:
                    self.expr(a, scope)
            case s.Tuple(items=items) | s.ArrayLit(items=items):
                for a in items:
                    self.expr(a, scope)
            case s.Record(fields=fields):
                self.unique([(k, v) for k, v in fields], "field")
                for _, a in fields:
                    self.expr(a, scope)
            case s.Index(value=value, items=items):
                self.expr(value, scope)
                for a in items:
                    parts = (a.lo, a.hi) if isinstance(a, s.Slice) else (a,)
                    for part in parts:
                        if part is not None:
                            self.expr(part, scope)
            case s.Cast(value=value, type=type_):
                self.annotation(type_)
                self.expr(value, scope)
            case s.Lambda(params=params, result=result, body=body):
                inner = Scope(scope)
                self.params(params, inner, "parameter")
                if result is not None:
                    self.annotation(result)
                self.expr(body, inner)
            case s.Block():
                self.block(e, scope)
            case s.If(cond=cond, then=then, other=other):
                self.expr(cond, scope)
                self.expr(then, scope)
                if other is not None:
                    self.expr(other, scope)
            case s.Match(subject=subject, arms=arms):
                before, self.random = self.random, False
                self.expr(subject, scope)
                random, self.random = self.random, before or self.random
                for arm in arms:
                    inner = Scope(scope)
                    self.bind(arm.pattern, inner, "case", random)
                    if arm.guard is not None:
                        self.expr(arm.guard, inner)
                    self.expr(arm.body, inner)
            case s.For(pattern=pattern, over=over, body=body):
                self.expr(body, self.loop(over, pattern, scope))
            case s.Comprehension(item=item, pattern=pattern, over=over, guard=guard):
                inner = self.loop(over, pattern, scope)
                if guard is not None:
                    self.expr(guard, inner)
                self.expr(item, inner)
            case s.Scan(carry=carry, init=init, pattern=pattern, over=over, body=body):
                before, self.random = self.random, False
                self.expr(init, scope)
                random, self.random = self.random, before or self.random
                inner = self.loop(over, pattern, scope)
                self.bind(carry, inner, "carry", random)
                self.expr(body, inner)
            case s.Iterate(carry=carry, init=init, until=until, limit=limit, body=body):
                self.expr(init, scope)
                if limit is not None:
                    self.expr(limit, scope)
                inner = Scope(scope)
                self.bind(carry, inner, "carry", True)
                self.expr(until, inner)
                self.expr(body, inner)
            case _:
                pass

    def loop(self, over: s.Expr, pattern: s.Pattern, scope: Scope) -> Scope:
        before, self.random = self.random, False
        self.expr(over, scope)
        inner = Scope(scope)
        self.bind(pattern, inner, "element", self.random)
        self.random = before or self.random
        return inner

    def unique(self, pairs: list[tuple[str, s.Expr]], what: str) -> None:
        seen: dict[str, s.Expr] = {}
        for name, e in pairs:
            if name in seen:
                self.report(_twice(f"two {what}s are named `{name}`", e.span, seen[name].span))
            seen[name] = e

    # ---------------------------------------------------------------------- statements

    def block(self, block: s.Block, outer: Scope) -> None:
        if is_measure_block(block):
            self.facts.measure_blocks.add(block)
            for d in misplaced(block):
                self.report(d)
        scope = Scope(outer)
        before = self.random
        for st in block.statements:
            match st:
                case s.Draw(pattern=pattern, expr=e, strategy=strategy):
                    self.random = False
                    self.expr(e, scope)
                    if strategy is not None:
                        value = check_strategy(strategy, self.report)
                        if value is not None:
                            self.expr(value, scope)
                    self.may_bind(pattern, scope)
                    self.bind(pattern, scope, "draw", True)
                    if isinstance(pattern, s.PName):
                        self.draws.append((self.facts.binders[pattern], self.random))
                    before = True
                case s.Let(pattern=pattern, type=type_, expr=e):
                    if type_ is not None:
                        self.annotation(type_)
                    self.random = False
                    depth = len(self.inside)
                    if isinstance(e, s.Lambda) and isinstance(pattern, s.PName):
                        self.inside.append(pattern.name)
                    self.expr(e, scope)
                    del self.inside[depth:]
                    self.bind(pattern, scope, "let", self.random)
                    before = before or self.random
                case s.Observe(value=value, dist=dist):
                    self.expr(value, scope)
                    self.expr(dist, scope)
                case s.Factor(value=value) | s.Condition(value=value) | s.Return(value=value):
                    self.expr(value, scope)
                case s.ExprStmt(expr=e):
                    self.expr(e, scope)
                case s.ParamStmt(name=name, type=type_, init=init):
                    self.annotation(type_)
                    self.expr(init, scope)
                    if not isinstance(self.item, s.Guide):
                        self.report(
                            Diagnostic(
                                "E507",
                                "`param` declares a learnable parameter, which only guides have",
                                st.span,
                                (),
                                f"draw it (`{name} ~ …`) or make it a parameter of the function",
                            )
                        )
                    local = Local(name, "let", st.span)
                    self.facts.binders[st] = local
                    scope.names[name] = local
                case _:
                    pass
        self.random = before or self.random

    def may_bind(self, pattern: s.Pattern, scope: Scope) -> None:
        for p in names_of(pattern):
            known = scope.find(p.name)
            if known is not None and known.role == "data":
                self.report(draws_data(p.name, p.span, known))


def _twice(message: str, again: Span, first: Span, hint: str | None = None) -> Diagnostic:
    return Diagnostic("E202", message, again, (Note("the first", first),), hint)
