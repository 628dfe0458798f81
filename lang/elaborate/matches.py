"""Nested patterns and guards, compiled to decision trees.

Clauses are tried from the top. The first test that the first clause still has to pass splits all
clauses in two (a literal) or by constructor, and each side goes on with the clauses that are left
(Maranget, *Compiling pattern matching to good decision trees*, 2008, with the first column chosen
always). An arm that several leaves reach becomes a local function that they call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.elaborate.scope import Frame, Local, Scope
from ppl.semantics import ir
from ppl.semantics.types import BOOL, Fun, Measure, Record, Tuple, Type

if TYPE_CHECKING:
    from ppl.lang.elaborate.context import Context

Body = Callable[[s.Arm, Scope, str], ir.Comp]


@dataclass(frozen=True)
class Clause:
    """What is still to be tested, and what is bound so far, for one arm."""

    arm: int
    tests: tuple[tuple[ir.Value, s.Pattern], ...]
    bound: tuple[tuple[s.PName, ir.Value], ...] = ()


@dataclass(frozen=True)
class Leaf:
    """An arm's patterns hold; `rest` is what follows if its guard does not."""

    clause: Clause
    rest: Tree | None


@dataclass(frozen=True)
class Test:
    """Whether a value equals a literal."""

    value: ir.Value
    pattern: s.PLit
    yes: Tree
    no: Tree


@dataclass(frozen=True)
class Switch:
    """By constructor; `rest` is for those not listed."""

    value: ir.Value
    cases: tuple[tuple[str, tuple[ir.Param, ...], Tree], ...]
    rest: Tree | None


Tree = Leaf | Test | Switch


def match(cx: Context, e: s.Match, t: Type, scope: Scope, body: Body) -> ir.Comp:
    """The computation of a `match` of result type t; `body` elaborates an arm in its scope."""
    subject = _cheap(cx, cx.value(e.subject, scope), scope)
    clauses = [_settle(Clause(i, ((subject, a.pattern),))) for i, a in enumerate(e.arms)]
    tree = _Compiler(cx, e.arms).tree(clauses)
    return _Emitter(cx, e, t, scope, body, tree).comp(tree, scope)


def _cheap(cx: Context, v: ir.Value, scope: Scope) -> ir.Value:
    """The subject as something that can be repeated."""
    if isinstance(v, ir.MakeTuple):
        return replace(v, items=tuple(_cheap(cx, i, scope) for i in v.items))
    if isinstance(v, (ir.Var, ir.Proj, ir.Get, ir.Lit)):
        return v
    return scope.emit(cx.namer.fresh("subject"), cx.returned(v))


def _settle(clause: Clause) -> Clause:
    """Tuples, records and names taken apart: only literals and constructors are left to test."""
    todo, tests, bound = list(clause.tests), [], list(clause.bound)
    while todo:
        v, pattern = todo.pop(0)
        match pattern:
            case s.PName():
                bound.append((pattern, v))
            case s.PTuple(items=items):
                parts = [(_component(v, i), p) for i, p in enumerate(items)]
                todo = parts + todo
            case s.PRecord(fields=fields):
                assert isinstance(v.type, Record)
                record = v.type
                todo = [
                    (ir.Get(record.get(k) or record, v, k, span=p.span), p) for k, p in fields
                ] + todo
            case s.PLit() | s.PCons():
                tests.append((v, pattern))
    return Clause(clause.arm, tuple(tests), tuple(bound))


def _component(v: ir.Value, i: int) -> ir.Value:
    if isinstance(v, ir.MakeTuple):
        return v.items[i]
    assert isinstance(v.type, Tuple)
    return ir.Proj(v.type.items[i], v, i, span=v.span)


class _Compiler:
    def __init__(self, cx: Context, arms: tuple[s.Arm, ...]):
        self.cx, self.arms = cx, arms

    def tree(self, clauses: list[Clause]) -> Tree:
        first, rest = clauses[0], clauses[1:]
        if not first.tests:
            guarded = self.arms[first.arm].guard is not None
            return Leaf(first, self.tree(rest) if guarded and rest else None)
        value, pattern = first.tests[0]
        if isinstance(pattern, s.PLit):
            return self.test(value, pattern, clauses)
        assert isinstance(pattern, s.PCons)
        return self.switch(value, clauses)

    def test(self, value: ir.Value, pattern: s.PLit, clauses: list[Clause]) -> Tree:
        yes, no = [], []
        for c in clauses:
            at = _test_of(c, value)
            other = at.value if isinstance(at, s.PLit) else None
            if at is None:
                yes.append(c)
                no.append(c)
            elif type(other) is type(pattern.value) and other == pattern.value:
                yes.append(_drop(c, value))
            elif isinstance(other, bool):  # the other one of two
                no.append(_drop(c, value))
            else:
                no.append(c)
        return Test(value, pattern, self.tree(yes), self.tree(no))

    def switch(self, value: ir.Value, clauses: list[Clause]) -> Tree:
        named: dict[str, s.PCons] = {}
        for c in clauses:
            p = _test_of(c, value)
            if isinstance(p, s.PCons):
                named.setdefault(self.cx.instance.constructors[p], p)
        cases = []
        for name, p in named.items():
            params = tuple(self.param(arg) for arg in p.args)
            fields = tuple(ir.Var(q.type, q.name, span=p.span) for q in params)
            left = [self.into(c, value, name, fields) for c in clauses]
            cases.append((name, params, self.tree([c for c in left if c is not None])))
        others = [c for c in clauses if _test_of(c, value) is None]
        complete = self.cx.siblings[next(iter(named))] <= named.keys()
        return Switch(value, tuple(cases), None if complete else self.tree(others))

    def into(
        self, c: Clause, value: ir.Value, name: str, fields: tuple[ir.Value, ...]
    ) -> Clause | None:
        """The clause inside one constructor's case, or None if it is for another constructor."""
        p = _test_of(c, value)
        if p is None:
            return c
        if not isinstance(p, s.PCons) or self.cx.instance.constructors[p] != name:
            return None
        inner = _settle(Clause(c.arm, tuple(zip(fields, p.args, strict=True))))
        others = _drop(c, value)
        return Clause(c.arm, inner.tests + others.tests, c.bound + inner.bound)

    def param(self, p: s.Pattern) -> ir.Param:
        name = p.name if isinstance(p, s.PName) else "field"
        return ir.Param(self.cx.namer.fresh(name), self.cx.type(p))


def _test_of(c: Clause, value: ir.Value) -> s.Pattern | None:
    return next((p for v, p in c.tests if v == value), None)


def _drop(c: Clause, value: ir.Value) -> Clause:
    return replace(c, tests=tuple((v, p) for v, p in c.tests if v != value))


class _Emitter:
    def __init__(self, cx: Context, e: s.Match, t: Type, scope: Scope, body: Body, tree: Tree):
        self.cx, self.e, self.t, self.body = cx, e, t, body
        uses: Counter[int] = Counter()
        _count(tree, uses)
        self.shared: dict[int, tuple[ir.Var, bool]] = {}
        for arm in sorted(i for i, n in uses.items() if n > 1):
            self.share(arm, _first(tree, arm), scope)

    def share(self, arm: int, clause: Clause, scope: Scope) -> None:
        """Binds a local function that is the arm, of the names it binds."""
        cx, inner = self.cx, scope.inner(Frame())
        params = []
        for pattern, v in clause.bound:
            params.append(cx.param(pattern, v.type, inner))
        body = inner.close(self.arm(arm, inner))
        thunk = body.effectful
        if thunk:
            body = cx.returned(ir.Thunk(Measure(body.type), body, span=body.span))
        t = Fun(tuple(p.type for p in params), body.type)
        lam = ir.Lam(t, tuple(params), body, span=body.span)
        self.shared[arm] = (scope.emit(cx.namer.fresh("arm"), cx.returned(lam)), thunk)

    def arm(self, arm: int, scope: Scope) -> ir.Comp:
        syntax = self.e.arms[arm]
        return self.cx.fit_result(self.body(syntax, scope, step_of(syntax.pattern)), self.t)

    def comp(self, tree: Tree, scope: Scope) -> ir.Comp:
        span = self.e.span
        match tree:
            case Leaf(clause=clause, rest=rest):
                return self.leaf(clause, rest, scope)
            case Test(value=value, pattern=pattern, yes=yes, no=no):
                if isinstance(pattern.value, bool):
                    cond, yes, no = (value, yes, no) if pattern.value else (value, no, yes)
                else:
                    lit = ir.Lit(self.cx.type(pattern), pattern.value, span=pattern.span)
                    cond = ir.Op(BOOL, "eq", (value, lit), span=pattern.span)
                return ir.If(
                    self.t, cond, self.inside(yes, scope), self.inside(no, scope), span=span
                )
            case Switch(value=value, cases=cases, rest=rest):
                arms = [ir.Arm(n, ps, self.inside(x, scope)) for n, ps, x in cases]
                if rest is not None:
                    arms.append(ir.Arm(None, (), self.inside(rest, scope)))
                return ir.Match(self.t, value, tuple(arms), span=span)

    def inside(self, tree: Tree, scope: Scope) -> ir.Comp:
        inner = scope.inner()
        return inner.close(self.comp(tree, inner))

    def leaf(self, clause: Clause, rest: Tree | None, scope: Scope) -> ir.Comp:
        cx, arm = self.cx, self.e.arms[clause.arm]
        inner = scope.nested()
        for pattern, v in clause.bound:
            plain = v if isinstance(v, ir.Var) else None
            named = plain or inner.emit(cx.namer.fresh(pattern.name), cx.returned(v))
            inner.define(pattern.name, Local(named))
        if arm.guard is not None and rest is not None:
            test = cx.value(arm.guard, inner)
            taken = inner.inner()
            then = taken.close(self.taken(clause, taken))
            return ir.If(self.t, test, then, self.inside(rest, scope), span=arm.span)
        return self.taken(clause, inner)

    def taken(self, clause: Clause, scope: Scope) -> ir.Comp:
        if clause.arm not in self.shared:
            return self.arm(clause.arm, scope)
        fn, thunk = self.shared[clause.arm]
        assert isinstance(fn.type, Fun)
        span = self.e.arms[clause.arm].span
        call = ir.Call(fn.type.result, fn, tuple(v for _, v in clause.bound), span=span)
        if not thunk:
            return call
        return ir.Run(self.t, scope.emit(self.cx.namer.fresh("taken"), call), span=span)


def _count(tree: Tree | None, uses: Counter[int]) -> None:
    match tree:
        case Leaf(clause=clause, rest=rest):
            uses[clause.arm] += 1
            _count(rest, uses)
        case Test(yes=yes, no=no):
            _count(yes, uses)
            _count(no, uses)
        case Switch(cases=cases, rest=rest):
            for _, _, inner in cases:
                _count(inner, uses)
            _count(rest, uses)


def _first(tree: Tree | None, arm: int) -> Clause:
    """Some leaf's clause for an arm: all bind the same names, at the same types."""
    todo = [tree]
    while todo:
        match todo.pop():
            case Leaf(clause=clause, rest=rest):
                if clause.arm == arm:
                    return clause
                todo.append(rest)
            case Test(yes=yes, no=no):
                todo += [yes, no]
            case Switch(cases=cases, rest=rest):
                todo += [inner for _, _, inner in cases] + [rest]
    raise KeyError(arm)


def step_of(pattern: s.Pattern) -> str:
    """The step that an arm adds to the path: its constructor or literal."""
    match pattern:
        case s.PCons(name=name):
            return name.rpartition(".")[2]
        case s.PLit(value=bool(value)):
            return "true" if value else "false"
        case s.PLit(value=value):
            return str(value)
        case s.PTuple(items=items):
            return ",".join(map(step_of, items))
        case s.PRecord(fields=fields):
            return ",".join(step_of(p) for _, p in fields)
        case _:
            return "_"
