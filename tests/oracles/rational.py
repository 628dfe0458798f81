"""The exact measure of a finite program, by trying every option of every draw.

A big-step evaluator of the *syntax tree*, in rational arithmetic. It shares nothing with the
checker, the elaborator or the engines, and is written to be read: evaluating an expression yields
every (value, state) it may lead to, where a state is one path through the program so far (its
weight, the sites it drew, the memo tables). There are two positions, as in the language:

- `evaluate`: the expression's value. A block with effects, or a `for`, is a *measure value*: a
  function from (path, state) to outcomes that waits to be run.
- `run`: the right of `~`, or a statement. The expression must denote a measure.

Numbers are ints and Fractions, and `Log(w)` for the logarithm of a rational w: that is enough for
`factor log(w)` to be exact. Anything that is not finite and rational raises `NotFinite`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ppl.lang import syntax as s
from tests.oracles.rational_primitives import PRIMITIVES, primitive, weight
from tests.oracles.rational_values import (
    Array,
    Cons,
    Dist,
    Fun,
    Measure,
    NotFinite,
    Outcomes,
    Record,
    State,
    constant,
    datum,
    loop,
    spell,
    table,
)

Env = Mapping[str, Any]


def bind(pattern: s.Pattern, value: Any, env: Env) -> Env | None:
    """env with the pattern's names, or None if the value does not match."""
    match pattern:
        case s.PWild():
            return env
        case s.PName(name=name):
            return {**env, name: value}
        case s.PLit(value=literal):
            return env if constant(literal) == value else None
        case s.PTuple(items=items):
            parts = list(zip(items, value, strict=True))
        case s.PRecord(fields=wanted):
            have = dict(value.fields)
            parts = [(p, have[name]) for name, p in wanted]
        case s.PCons(name=name, args=args):
            if value.name != name:
                return None
            parts = list(zip(args, value.args, strict=True))
        case _:
            raise NotFinite(f"pattern {pattern!r}")
    for p, v in parts:
        inner = bind(p, v, env)
        if inner is None:
            return None
        env = inner
    return env


def bound(pattern: s.Pattern, value: Any, env: Env) -> Env:
    """As `bind`, for a pattern that must match."""
    out = bind(pattern, value, env)
    assert out is not None, "an irrefutable pattern did not match"
    return out


def waits(e: s.Expr) -> bool:
    """Whether an expression is by its form a measure, which waits to be run.

    A `for`, and a block with an effect, a run before its end, or a `return`.
    """
    match e:
        case s.For():
            return True
        case s.Block(statements=statements):
            return any(not isinstance(x, (s.Let, s.ExprStmt)) for x in statements) or any(
                isinstance(x, s.ExprStmt) for x in statements[:-1]
            )
        case s.Scan(body=body) | s.Iterate(body=body):
            return waits(body)
        case _:
            return False


def acts(e: s.Expr | None) -> bool:
    """Whether running e may draw or score. Branches that do not add nothing to the path."""
    match e:
        case None:
            return False
        case s.Block(statements=statements):
            return any(
                isinstance(x, (s.Observe, s.Factor, s.Condition, s.Checkpoint))
                or (isinstance(x, (s.Draw, s.ExprStmt)) and acts(x.expr))
                for x in statements
            )
        case s.If(then=then, other=other):
            return acts(then) or acts(other)
        case s.Match(arms=arms):
            return any(acts(a.body) for a in arms)
        case s.For(body=body) | s.Scan(body=body) | s.Iterate(body=body):
            return acts(body)
        case _:
            return True


class Program:
    """A module whose models can be run; see `law`."""

    def __init__(self, module: s.Module):
        self.unfinished = Fraction(0)
        self.globals: dict[str, Any] = {}
        for name, f in PRIMITIVES.items():
            self.globals[name] = primitive(name, f)
        self.globals["mem"] = primitive("mem", self.mem)
        self.globals["normalize"] = primitive("normalize", self.normalize)
        self.globals["exact"] = "exact"
        for item in module.items:
            if isinstance(item, s.Function):
                self.globals[item.name] = self.closure(item.params, item.body, {})
            elif isinstance(item, s.TypeDecl):
                for c in item.constructors:
                    self.globals[c.name] = (
                        primitive(c.name, lambda *args, name=c.name: Cons(name, args))
                        if c.fields
                        else Cons(c.name, ())
                    )

    # -- functions

    def burn(self, state: State) -> Iterator[State]:
        """One unit of fuel less; a path without fuel ends, and its mass is recorded."""
        if state.fuel:
            yield replace(state, fuel=state.fuel - 1)
        else:
            self.unfinished += state.weight

    def closure(self, params: tuple[s.ParamDecl, ...], body: s.Expr, env: Env) -> Fun:
        def call(args: tuple, named: Mapping[str, Any], state: State) -> Outcomes:
            inner = env
            for i, p in enumerate(params):
                if i < len(args):
                    value = args[i]
                elif isinstance(p.pattern, s.PName) and p.pattern.name in named:
                    value = named[p.pattern.name]
                else:
                    assert p.default is not None, "too few arguments"
                    ((value, state),) = self.evaluate(p.default, {}, state)
                inner = bound(p.pattern, value, inner)
            for fuelled in self.burn(state):
                yield from self.evaluate(body, inner, fuelled)

        return Fun(call)

    def mem(self, f: Fun) -> Measure:
        """The random function whose value at k is drawn from f(k) when first asked for."""

        def run(path: tuple, state: State) -> Outcomes:
            def call(args: tuple, _: Mapping[str, Any], state: State) -> Outcomes:
                key = (path, args)
                if key in state.memo:
                    yield state.memo[key], state
                    return
                index = args[0] if len(args) == 1 else args
                for m, after in f.call(args, {}, state):
                    for v, end in self.run_value(m, (*path, (index,)), after):
                        yield v, replace(end, memo={**end.memo, key: v})

            yield Fun(call), state

        return Measure(run)

    def normalize(self, m: Measure | Dist, method: str) -> Dist:
        """The law of a measure, divided by its mass."""
        if method != "exact":
            raise NotFinite(f"normalize with {method}")
        law: defaultdict[Any, Fraction] = defaultdict(Fraction)
        lost = self.unfinished
        for v, end in self.run_value(m, (), State(fuel=1_000)):
            if any(key[0] for key in end.memo):
                raise NotFinite("a memoised draw from outside `normalize`")
            law[v] += end.weight
        if self.unfinished != lost:
            raise NotFinite("`normalize` ran out of fuel")
        mass = sum(law.values())
        if mass == 0:
            raise NotFinite("normalize of a measure without mass")
        return table([(v, w / mass) for v, w in law.items()])

    # -- value position

    def evaluate(self, e: s.Expr, env: Env, state: State) -> Outcomes:
        """Every value of e, with the state it leaves (only a memoised function changes it)."""
        if waits(e):
            yield Measure(lambda path, st: self.run(e, env, path, st)), state
            return
        match e:
            case s.Lit(value=value):
                yield constant(value), state
            case s.Name(name=name):
                yield self.look_up(name, env), state
            case s.Tuple(items=items):
                yield from self.all(items, env, state)
            case s.ArrayLit(items=items):
                for values, after in self.all(items, env, state):
                    yield Array(values), after
            case s.Record(fields=fields):
                for values, after in self.all([x for _, x in fields], env, state):
                    yield Record.of(dict(zip([k for k, _ in fields], values, strict=True))), after
            case s.Field(value=value, name=name):
                for v, after in self.evaluate(value, env, state):
                    yield (dict(v.fields)[name] if isinstance(v, Record) else v[int(name)]), after
            case s.Unary(op=op, value=value):
                for v, after in self.evaluate(value, env, state):
                    yield PRIMITIVES["neg" if op == "-" else op](v), after
            case s.Binary(op=op, left=left, right=right):
                for values, after in self.all([left, right], env, state):
                    yield PRIMITIVES[op](*values), after
            case s.Cast(value=value):
                yield from self.evaluate(value, env, state)
            case s.Index(value=value, items=items):
                yield from self.index(value, items, env, state)
            case s.Call(fn=fn, args=args, named=named):
                for values, after in self.all([fn, *args, *(x for _, x in named)], env, state):
                    f, given = values[0], values[1:]
                    assert isinstance(f, Fun), f"not a function: {fn.span.text}"
                    keywords = dict(zip([k for k, _ in named], given[len(args) :], strict=True))
                    yield from f.call(given[: len(args)], keywords, after)
            case s.Lambda(params=params, body=body):
                yield self.closure(params, body, env), state
            case s.Block(statements=statements):
                yield from self.pure(statements, env, state)
            case s.If(cond=cond, then=then, other=other):
                for c, after in self.evaluate(cond, env, state):
                    if c or other is not None:
                        yield from self.evaluate(then if c else other, env, after)  # pyright: ignore
                    else:
                        yield Measure(lambda path, st: iter([((), st)])), after
            case s.Match():
                for arm, inner, after in self.choose(e, env, state):
                    yield from self.evaluate(arm.body, inner, after)
            case s.Comprehension():
                yield from self.comprehension(e, env, state)
            case s.Scan(init=init, over=over):
                for (v, xs), after in self.all([init, over], env, state):
                    yield from self.scan(e, xs, v, env, after)
            case s.Iterate(init=init):
                for v, after in self.evaluate(init, env, state):
                    yield from self.iterate(e, v, env, after)
            case _:
                raise NotFinite(f"{type(e).__name__}: {e.span.text}")

    def all(self, es: list[s.Expr] | tuple[s.Expr, ...], env: Env, state: State) -> Outcomes:
        """The tuple of the values of several expressions, left to right."""
        if not es:
            yield (), state
            return
        for first, after in self.evaluate(es[0], env, state):
            for rest, end in self.all(es[1:], env, after):
                yield (first, *rest), end

    def look_up(self, name: str, env: Env) -> Any:
        if name in env:
            return env[name]
        if name in self.globals:
            return self.globals[name]
        raise NotFinite(f"`{name}` has no finite rational meaning here")

    def pure(self, statements: tuple[s.Statement, ...], env: Env, state: State) -> Outcomes:
        lets = (
            statements[:-1] if statements and isinstance(statements[-1], s.ExprStmt) else statements
        )
        for inner, after in self.let(lets, env, state):
            if len(lets) == len(statements):
                yield (), after
            else:
                yield from self.evaluate(statements[-1].expr, inner, after)  # pyright: ignore

    def index(self, value: s.Expr, items: tuple, env: Env, state: State) -> Outcomes:
        """`x[i]`, `x[i, j]`, `x[a:b]`; literal negative indices count from the end."""
        if len(items) != 1 and any(isinstance(i, s.Slice) for i in items):
            raise NotFinite("slices of several dimensions")
        for xs, after in self.evaluate(value, env, state):
            if isinstance(items[0], s.Slice):
                ends = [
                    x if x is not None else s.Lit(items[0].span, None)
                    for x in (items[0].lo, items[0].hi)
                ]
                for ab, end in self.all(ends, env, after):
                    lo, hi = (None if x == () else x for x in ab)
                    yield Array(xs[lo:hi]), end
                continue
            for places, end in self.all(items, env, after):
                out = xs
                for place, source in zip(places, items, strict=True):
                    if isinstance(place, Array):
                        out = Array(out[k] for k in place)
                        continue
                    literal = isinstance(source, s.Unary)
                    if not (-len(out) if literal else 0) <= place < len(out):
                        raise NotFinite(f"index {place} of an array of length {len(out)}")
                    out = out[place]
                yield out, end

    def comprehension(self, e: s.Comprehension, env: Env, state: State) -> Outcomes:
        def go(left: Array, done: tuple, state: State) -> Outcomes:
            if not left:
                yield Array(done), state
                return
            inner = bound(e.pattern, left[0], env)
            guards = (
                self.evaluate(e.guard, inner, state) if e.guard is not None else [(True, state)]
            )
            for keep, after in guards:
                if not keep:
                    yield from go(Array(left[1:]), done, after)
                    continue
                for v, end in self.evaluate(e.item, inner, after):
                    yield from go(Array(left[1:]), (*done, v), end)

        for xs, after in self.evaluate(e.over, env, state):
            yield from go(xs, (), after)

    def choose(self, e: s.Match, env: Env, state: State) -> Iterator[tuple[s.Arm, Env, State]]:
        """The first arm whose pattern and guard hold."""

        def go(arms: tuple[s.Arm, ...], subject: Any, state: State):
            assert arms, "no arm matches"
            inner = bind(arms[0].pattern, subject, env)
            if inner is None:
                yield from go(arms[1:], subject, state)
            elif arms[0].guard is None:
                yield arms[0], inner, state
            else:
                for holds, after in self.evaluate(arms[0].guard, inner, state):
                    if holds:
                        yield arms[0], inner, after
                    else:
                        yield from go(arms[1:], subject, after)

        for subject, after in self.evaluate(e.subject, env, state):
            yield from go(e.arms, subject, after)

    def scan(
        self, e: s.Scan, xs: Array, first: Any, env: Env, state: State, path: tuple | None = None
    ) -> Outcomes:
        """States after each step, or the last; run at `path`, or pure if that is None.

        If the body turns out to be a measure although its form does not show it, the loop is one.
        """

        def go(left: Array, states: tuple, state: State) -> Outcomes:
            carry = states[-1]
            if not left:
                yield (Array(states[1:]) if e.keep == "all" else carry), state
                return
            inner = bound(e.pattern, left[0], bound(e.carry, carry, env))
            if path is None:
                outcomes = self.evaluate(e.body, inner, state)
            else:
                outcomes = self.run(e.body, inner, (*path, (len(states) - 1,)), state)
            for v, after in outcomes:
                if path is None and isinstance(v, (Dist, Measure)):
                    yield Measure(lambda p, st: self.scan(e, xs, first, env, st, p)), state
                else:
                    yield from go(Array(left[1:]), (*states, v), after)

        return go(xs, (first,), state)

    def iterate(
        self, e: s.Iterate, first: Any, env: Env, state: State, path: tuple | None = None
    ) -> Outcomes:
        def go(carry: Any, k: int, limit: float, state: State) -> Outcomes:
            inner = bound(e.carry, carry, env)
            for stop, after in self.evaluate(e.until, inner, state):
                if stop or k >= limit:
                    yield carry, after
                    continue
                for fuelled in self.burn(after):
                    if path is None:
                        outcomes = self.evaluate(e.body, inner, fuelled)
                    else:
                        outcomes = self.run(e.body, inner, (*path, (k,)), fuelled)
                    for v, end in outcomes:
                        if path is None and isinstance(v, (Dist, Measure)):
                            yield Measure(lambda p, st: self.iterate(e, first, env, st, p)), state
                        else:
                            yield from go(v, k + 1, limit, end)

        if e.limit is None:
            yield from go(first, 0, math.inf, state)
        else:
            for limit, after in self.evaluate(e.limit, env, state):
                yield from go(first, 0, limit, after)

    # -- run position

    def run(
        self,
        e: s.Expr,
        env: Env,
        path: tuple,
        state: State,
        *,
        named: bool = False,
        tail: bool = True,
    ) -> Outcomes:
        """Every result of running the measure e in the frame at this path.

        `named`: a binder already took the step for it. Otherwise a call or variable takes one of
        its own name, except that a distribution takes none in `tail` position, and a loop takes
        one of its keyword, unless it is all that the frame runs.
        """
        match e:
            case s.Block(statements=statements) if waits(e):
                yield from self.execute(statements, env, path, state, tail)
            case s.Block(statements=(*lets, s.ExprStmt(expr=last))):
                for inner, after in self.let(tuple(lets), env, state):
                    yield from self.run(last, inner, path, after, named=named, tail=tail)
            case s.If(cond=cond, then=then, other=other):
                for c, after in self.evaluate(cond, env, state):
                    arms = [
                        ("then", acts(then) or acts(other)),
                        ("else", acts(then) or acts(other)),
                    ]
                    taken, after = branch(path, after, arms, 0 if c else 1)
                    if c or other is not None:
                        yield from self.run(then if c else other, env, taken, after)  # pyright: ignore
                    else:
                        yield (), after
            case s.Match(arms=arms):
                names = [(arm_name(a.pattern), acts(a.body)) for a in arms]
                for arm, inner, after in self.choose(e, env, state):
                    taken, after = branch(path, after, names, arms.index(arm))
                    yield from self.run(arm.body, inner, taken, after)
            case s.For() | s.Scan() | s.Iterate():
                if not (named or (tail and path not in state.used)):
                    path, state = state.step(path, keyword(e))
                yield from self.run_loop(e, env, path, state.use(path))
            case _:
                for m, after in self.evaluate(e, env, state):
                    quiet = isinstance(m, Dist) or callee(e) in ("iid", "mixture", "truncate")
                    if named or (tail and quiet):
                        yield from self.run_value(m, path, after)
                    else:
                        yield from self.run_value(m, *after.step(path, callee(e)))

    def run_loop(self, e: s.Expr, env: Env, path: tuple, state: State) -> Outcomes:
        match e:
            case s.For(pattern=pattern, over=over, body=body):
                for xs, after in self.evaluate(over, env, state):

                    def once(i: int, p: tuple, st: State, xs: Array = xs) -> Outcomes:
                        return self.run(body, bound(pattern, xs[i], env), p, st)

                    yield from loop(once, len(xs), path, after)
            case s.Scan(init=init, over=over):
                for (v, xs), after in self.all([init, over], env, state):
                    yield from self.scan(e, xs, v, env, after, path)
            case s.Iterate(init=init):
                for v, after in self.evaluate(init, env, state):
                    yield from self.iterate(e, v, env, after, path)

    def run_value(self, m: Any, path: tuple, state: State) -> Outcomes:
        if isinstance(m, Measure):
            yield from m.run(path, state)
            return
        assert isinstance(m, Dist), f"not a measure: {m!r}"
        name = spell(path)
        assert name not in state.sites, f"site {name} drawn twice"
        for value, p in m.options():
            weight, prior = state.weight * p, state.prior * p
            sites = {**state.sites, name: value}
            yield value, replace(state, weight=weight, prior=prior, sites=sites)

    def execute(
        self, statements: tuple[s.Statement, ...], env: Env, path: tuple, state: State, tail: bool
    ) -> Outcomes:
        """Run statements in order; `tail`: the block is the last thing its frame runs."""
        if not statements:
            yield (), state
            return
        first, rest = statements[0], statements[1:]

        def go_on(env: Env, state: State) -> Outcomes:
            return self.execute(rest, env, path, state, tail)

        def score(w: Fraction | int, state: State) -> Outcomes:
            for scored in state.use(path).score(w):
                yield from go_on(env, scored)

        match first:
            case s.Let():
                for inner, after in self.let((first,), env, state):
                    yield from go_on(inner, after)
            case s.Draw(pattern=s.PName(name=name), expr=expr):
                for v, after in self.run(expr, env, *state.step(path, name), named=True):
                    yield from go_on({**env, name: v}, after)
            case s.Draw(pattern=pattern, expr=expr):
                for v, after in self.run(expr, env, path, state, tail=False):
                    inner = bound(pattern, v, env)
                    for name in names(pattern):
                        _, after = after.step(path, name)
                    yield from go_on(inner, after)
            case s.Observe(value=value, dist=dist):
                for (v, d), after in self.all([value, dist], env, state):
                    yield from score(d.density(v), after)
            case s.Factor(value=value):
                for v, after in self.evaluate(value, env, state):
                    yield from score(weight(v), after)
            case s.Condition(value=value):
                for v, after in self.evaluate(value, env, state):
                    yield from score(int(v), after)
            case s.Checkpoint():
                yield from score(1, state)
            case s.Return(value=value):
                yield from self.evaluate(value, env, state)
            case s.ExprStmt(expr=expr) if rest:
                for _, after in self.run(expr, env, path, state, tail=False):
                    yield from go_on(env, after)
            case s.ExprStmt(expr=expr):
                yield from self.run(expr, env, path, state, tail=tail)
            case _:
                raise NotFinite(f"{type(first).__name__}: {first.span.text}")

    def let(self, lets: tuple, env: Env, state: State) -> Iterator[tuple[Env, State]]:
        """The scope after some `let`s."""
        if not lets:
            yield env, state
            return
        for v, after in self.evaluate(lets[0].expr, env, state):
            yield from self.let(lets[1:], bound(lets[0].pattern, v, env), after)


def branch(
    path: tuple, state: State, arms: list[tuple[str, bool]], taken: int
) -> tuple[tuple, State]:
    """The path of the arm that is taken; all arms that act take their steps."""
    paths = []
    for name, acting in arms:
        here = path
        if acting:
            here, state = state.step(path, name)
        paths.append(here)
    return paths[taken], state


def names(pattern: s.Pattern) -> list[str]:
    match pattern:
        case s.PName(name=name):
            return [name]
        case s.PTuple(items=items):
            return [x for p in items for x in names(p)]
        case s.PRecord(fields=fields):
            return [x for _, p in fields for x in names(p)]
        case _:
            return []


def arm_name(pattern: s.Pattern) -> str:
    match pattern:
        case s.PCons(name=name):
            return name
        case s.PLit(value=value):
            return str(value).lower() if isinstance(value, bool) else str(value)
        case s.PTuple(items=items):
            return ",".join(map(arm_name, items))
        case _:
            return "_"


def keyword(e: s.Expr) -> str:
    match e:
        case s.Scan(keep=keep):
            return "scan" if keep == "all" else "fold"
        case _:
            return type(e).__name__.lower()


def callee(e: s.Expr) -> str:
    match e:
        case s.Call(fn=inner) | s.Index(value=inner):
            return callee(inner)
        case s.Name(name=name) | s.Field(name=name):
            return name
        case _:
            return "run"


@dataclass(frozen=True)
class Law:
    """An unnormalised measure: of results, and of results with every site drawn on the way.

    `prior` has the probability of the same draws without the scores. `unfinished` is the mass of
    the paths that ran out of fuel: the rest is exact.
    """

    joint: Mapping[tuple[Any, frozenset[tuple[str, Any]]], Fraction]
    prior: Mapping[tuple[Any, frozenset[tuple[str, Any]]], Fraction]
    paths: int
    unfinished: Fraction = Fraction(0)

    @property
    def evidence(self) -> Fraction:
        return sum(self.joint.values(), Fraction(0))

    @property
    def results(self) -> dict[Any, Fraction]:
        out: defaultdict[Any, Fraction] = defaultdict(Fraction)
        for (result, _), w in self.joint.items():
            out[result] += w
        return dict(out)

    def site(self, name: str) -> dict[Any, Fraction]:
        """The unnormalised law of one site, over the paths that draw it."""
        out: defaultdict[Any, Fraction] = defaultdict(Fraction)
        for (_, sites), w in self.joint.items():
            for k, v in sites:
                if k == name:
                    out[v] += w
        return dict(out)


def law(
    module: s.Module, model: str, data: Mapping[str, Any] | None = None, *, fuel: int = 1_000
) -> Law:
    """The exact measure of a model on data. `fuel` bounds the calls along one path.

    Raises NotFinite if the program is not finite and rational.
    """
    program = Program(module)
    joint: defaultdict[tuple, Fraction] = defaultdict(Fraction)
    prior: defaultdict[tuple, Fraction] = defaultdict(Fraction)
    paths = 0
    named = {k: datum(v) for k, v in (data or {}).items()}
    for measure, state in program.globals[model].call((), named, State(fuel)):
        for result, end in program.run_value(measure, (), state):
            paths += 1
            atom = result, frozenset(end.sites.items())
            joint[atom] += end.weight
            prior[atom] += end.prior
    return Law(dict(joint), dict(prior), paths, program.unfinished)
