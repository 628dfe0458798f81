"""Linear-Gaussian chains: the states of a loop integrated out by the Kalman filter.

In a loop

    xs ~ scan x = start for y in ys {
      x ~ normal(a * x + b, q)
      observe y ~ normal(c * x, r)
      return x
    }

the normal draws of a step and the state before it are jointly normal given the observations so far.
The loop carries means and covariances instead, and each observation is scored under its predictive
law. Once everything else is known, a second loop goes backwards and draws each step's choices given
the state after it. Any number of choices a step, states of several numbers, and coefficients that
are data or other draws (also those of the same step: a mixture Kalman filter) are treated alike:
all arithmetic is on single covariances, unrolled.

Kalman, A new approach to linear filtering and prediction problems, 1960; Carter & Kohn, On Gibbs
sampling for state space models, Biometrika 81(3), 1994; Chen & Liu, Mixture Kalman filters, JRSS B
62(3), 2000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span
from ppl.semantics.holes import bind, part, parts_of, returned
from ppl.semantics.ir_map import block, keeps
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes.conjugacy.belief import Belief, Slopes, dot
from ppl.semantics.passes.conjugacy.build import ZERO, as_type, items_of, made_of, minus, op, plus
from ppl.semantics.passes.conjugacy.linear import Broken, Form, Linear, any_form, form
from ppl.semantics.passes.conjugacy.sites import Site, binders_around, read_site
from ppl.semantics.passes.conjugacy.uses import Path

#: choices of a step, and numbers of its state, that are integrated out at most
LIMIT = 6


@dataclass(frozen=True)
class Draw:
    """A normal draw in a step: its variable, its binders, its law, its path."""

    name: str
    at: tuple[ir.At, ...]
    dist: ir.Op
    path: Path


@dataclass(frozen=True)
class Start:
    """A normal draw that a part of a loop's state begins with: the part, its binding's place in the
    block, its binders."""

    item: int
    place: int
    site: Site
    at: tuple[ir.At, ...]


@dataclass(frozen=True)
class Chain:
    """A loop that is bound in a block, with the draws in its steps, and those that it starts from,
    that are integrated out."""

    at: tuple[ir.At, ...]
    loop: ir.Scan
    body: ir.Block
    draws: tuple[Draw, ...]
    starts: tuple[Start, ...]
    span: Span | None

    @property
    def path(self) -> Path:
        return self.draws[0].path

    @property
    def paths(self) -> tuple[Path, ...]:
        return (*(d.path for d in self.draws), *(s.site.path for s in self.starts))


def read_chains(c: ir.Block, i: int, path: Path) -> Iterator[Chain]:
    """The chains that the loop of binding i of a block at a path may be, those with most draws
    first."""
    b = c.binds[i]
    at, _ = binders_around(b.comp)
    loop = at[-1].body if at else b.comp
    if not isinstance(loop, ir.Scan) or not isinstance(loop.body, ir.Block):
        return
    here = (*path, *(a.step for a in at))
    found: list[Draw] = []
    for x in loop.body.binds:
        inner, _ = binders_around(x.comp)
        run = inner[-1].body if inner else x.comp
        match run:
            case ir.Run(type=t, measure=ir.Op(op="normal") as dist) if t == T.REAL:
                where = (*here, *(a.step for a in inner))
                found.append(Draw(x.name, tuple(inner), dist, where))
            case _:
                pass
    found = found[:LIMIT]
    for n in range(len(found), 0, -1):
        for draws in combinations(found, n):
            chain = Chain(tuple(at), loop, loop.body, draws, (), b.comp.span)
            starts = tuple(_starts(c, i, loop, path))
            if starts:
                yield replace(chain, starts=starts)
            yield chain


def _starts(c: ir.Block, i: int, loop: ir.Scan, path: Path) -> Iterator[Start]:
    """The normal draws that a loop starts from."""
    items = items_of(loop.init)
    for k, v in enumerate(items):
        if not isinstance(v, ir.Var) or sum(v.name in x.free for x in items) > 1:
            continue
        for j in range(i):
            if c.binds[j].name == v.name:
                site = read_site(c.binds[j], path)
                if site is not None and site.family.prior == "normal" and site.size is None:
                    yield Start(k, j, site, tuple(binders_around(c.binds[j].comp)[0]))


# ------------------------------------------------------------------------------------- the filter


class Filter:
    """The loop over means and covariances. `record`: what the way back needs of each step."""

    def __init__(self, chain: Chain, fresh: Fresh):
        self.chain, self.fresh = chain, fresh
        self.latent = [d.name for d in chain.draws]
        self.items = _items(chain.loop.carry.type)
        self.linear = self._linear_items()
        self.d, self.k = len(self.linear), len(chain.draws)
        self.observed = False
        #: means and scales of what the loop starts from, by part of the state
        self.starts: dict[int, tuple[ir.Value, ...]] = {}
        if any(s.item not in self.linear for s in chain.starts):
            raise Broken("what its loop starts from does not go on", chain.span)

    def _linear_items(self) -> list[int]:
        """The parts of the state that depend on the draws: the least set that is closed."""
        found: set[int] = set()
        while True:
            names = frozenset(self.latent)
            forms: dict[str, Form] = {n: Linear("affine") for n in names}
            if found:
                forms[self.chain.loop.carry.name] = self._carry(found, Linear("affine"))
            for b in self.chain.body.binds:
                if b.name not in names:
                    self._learn(b, forms)
            after = self._after(forms)
            new = {i for i, f in enumerate(after) if f is not None}
            if new <= found:
                return sorted(found)
            found |= new

    def _carry(self, items: set[int], f: Linear) -> Form:
        if not self.items:
            return f
        return tuple(f if i in items else None for i in range(len(self.items)))

    def _learn(self, b: ir.Bind, forms: dict[str, Form]) -> None:
        comp = b.comp
        while isinstance(comp, ir.At):
            comp = comp.body
        if not isinstance(comp, ir.Return):
            if not comp.effectful and not forms.keys().isdisjoint(comp.free):
                forms[b.name] = Broken("what is computed from it is not linear", comp.span)
            return
        try:
            found = any_form(comp.value, forms)
        except Broken as error:
            found = error
        if found is not None:
            forms[b.name] = found

    def _after(self, forms: dict[str, Form]) -> list[Linear | None]:
        """The forms of the parts of the next state."""
        result = self.chain.body.result
        if not isinstance(result, ir.Return):
            raise Broken("the state of its loop is made by what runs last", result.span)
        found = any_form(result.value, forms)
        if not self.items:
            if isinstance(found, tuple):
                raise Broken("the state of its loop is no number", result.span)
            return [found]
        parts = found if isinstance(found, tuple) else (None,) * len(self.items)
        for f in parts:
            if isinstance(f, Broken):
                raise f
            if isinstance(f, tuple):
                raise Broken("the state of its loop is nested", result.span)
        return list(parts)  # type: ignore[arg-type]

    # -------------------------------------------------------------------------------- the forward

    def run(self, binds: list[ir.Bind]) -> ir.Var:
        """The loop's states: array of tuples (state, covariances of the linear parts, record)."""
        loop, n = self.chain.loop, self.d + self.k
        covs = self.d * (self.d + 1) // 2
        sizes = (covs, n, n * (n + 1) // 2, self.d * n, self.d)
        reals = (T.REAL,) * sum(sizes)
        state = T.Tuple((loop.carry.type, *reals))
        carry = ir.Param(self.fresh.name(loop.carry.name), state)
        whole = ir.Var(state, carry.name)
        inside: list[ir.Bind] = []
        belief = Belief(self.fresh, inside)
        names = iter(range(1, 1 + covs))
        for i in range(self.d):
            row: list[ir.Value] = [belief.let(part(whole, next(names))) for _ in range(i)]
            belief.add(row, belief.let(part(whole, next(names))))
        inside.append(ir.Bind(loop.carry.name, returned(part(whole, 0))))
        means = [self._part(ir.Var(loop.carry.type, loop.carry.name), i) for i in self.linear]
        forms: list[dict[str, Form]] = [
            {loop.carry.name: self._carry({i}, Linear("affine"))} for i in self.linear
        ]
        drawn = {d.name: d for d in self.chain.draws}
        seen: list[ir.Observe] = []
        for b in self.chain.body.binds:
            if b.name in drawn:
                self._draw(drawn[b.name], belief, forms, inside)
                means.append(ir.Var(T.REAL, b.name))
            else:
                self._statement(b, forms, inside, seen)
        self.observed = bool(seen)
        for c in seen:
            self._observed(c, belief, forms)
        result = self.chain.body.result
        assert isinstance(result, ir.Return)
        now = self._slopes_of_state(forms)
        covariance = belief.image(now)
        next_items = [
            belief.let(plus(self._part(result.value, i), dot(s, belief.shift)))
            for i, s in zip(self.linear, now, strict=True)
        ]
        record = [
            *(covariance[i][j] for i in range(self.d) for j in range(i + 1)),
            *(belief.let(plus(m, s)) for m, s in zip(means, belief.shift, strict=True)),
            *(belief.cov[i][j] for i in range(n) for j in range(i + 1)),
            *(s for row in now for s in row),
            *next_items,
        ]
        value = self.with_items(result.value, next_items)
        reals_now = (as_type(v, T.REAL) for v in record)
        step = block(inside, returned(ir.MakeTuple(state, (value, *reals_now))))
        self.starts = {s.item: s.site.hyper(self.fresh, binds) for s in self.chain.starts}
        first = [
            op("square", self.starts[item][1]) if i == j and item in self.starts else ZERO
            for i, item in enumerate(self.linear)
            for j in range(i + 1)
        ]
        first += [ZERO] * (len(reals) - covs)
        init = self.begin({k: mean for k, (mean, _) in self.starts.items()})
        start = ir.MakeTuple(state, (init, *(as_type(v, T.REAL) for v in first)))
        made: ir.Comp = ir.Scan(
            T.Array(state), carry, start, loop.param, loop.over, step, "all", span=loop.span
        )
        for a in reversed(self.chain.at):
            made = ir.At(made.type, a.step, made, span=a.span)
        return bind(binds, self.fresh.name("filtered"), made)

    def begin(self, starts: Mapping[int, ir.Value]) -> ir.Value:
        """The state before the loop, with these values of what it starts from."""
        init = self.chain.loop.init
        items = [starts.get(i, v) for i, v in enumerate(items_of(init))]
        types = [t for _, t in parts_of(init.type)] or [init.type]
        made = tuple(as_type(v, t) for v, t in zip(items, types, strict=True))
        return made_of(made, init.type)

    def _part(self, v: ir.Value, i: int) -> ir.Value:
        if not self.items:
            return v
        match v:
            case ir.MakeTuple(items=items) | ir.MakeRecord(items=items):
                return items[i]
            case _:
                return part(v, self.items[i])

    def with_items(self, v: ir.Value, new: Sequence[ir.Value]) -> ir.Value:
        """A state with its linear parts replaced."""
        if not self.items:
            return as_type(new[0], v.type) if new else v
        values = dict(zip(self.linear, new, strict=True))
        types = [t for _, t in parts_of(v.type)]
        items = tuple(
            as_type(values[i], types[i]) if i in values else self._part(v, i)
            for i in range(len(self.items))
        )
        if isinstance(v.type, T.Record):
            return ir.MakeRecord(v.type, tuple(k for k, _ in v.type.fields), items)
        return ir.MakeTuple(v.type, items)

    def _slopes(self, v: ir.Value, forms: list[dict[str, Form]]) -> Slopes:
        found = [form(v, f) for f in forms]
        return [ZERO if f is None else f.slope for f in found]

    def _draw(
        self, d: Draw, belief: Belief, forms: list[dict[str, Form]], inside: list[ir.Bind]
    ) -> None:
        mean, sd = d.dist.args
        if any(form(sd, f) is not None for f in forms):
            raise Broken("the scale of a draw depends on it", d.dist.span)
        slopes = [belief.let(s, "slope") for s in self._slopes(mean, forms)]
        row = belief.against(slopes)
        belief.add(row, belief.let(plus(dot(slopes, row), op("square", sd)), "variance"))
        inside.append(ir.Bind(d.name, returned(as_type(mean, T.REAL))))
        forms.append({d.name: Linear("affine")})

    def _statement(
        self,
        b: ir.Bind,
        forms: list[dict[str, Form]],
        inside: list[ir.Bind],
        seen: list[ir.Observe],
    ) -> None:
        """What is neither a draw that is integrated out nor the state."""
        names = frozenset().union(*forms)
        if not b.comp.effectful or names.isdisjoint(b.comp.free):
            comp = b.comp
            if not comp.effectful and not names.isdisjoint(comp.free):
                if keeps(comp):
                    raise Broken("a value that a step computes from it is kept", comp.span)
                while isinstance(comp, ir.At):
                    comp = comp.body
                for f in forms:
                    self._learn(b, f)
            inside.append(ir.Bind(b.name, comp))
            return
        comp = b.comp
        while isinstance(comp, ir.At):
            comp = comp.body
        match comp:
            case ir.Observe(dist=ir.Op(op="normal")):
                seen.append(comp)
            case ir.Observe():
                raise Broken("an observation that depends on it is not normal", comp.span)
            case _:
                raise Broken(
                    "a step draws from it, or scores it otherwise than by `observe`", comp.span
                )

    def _observed(self, c: ir.Observe, belief: Belief, forms: list[dict[str, Form]]) -> None:
        dist = c.dist
        assert isinstance(dist, ir.Op)
        mean, sd = dist.args
        if any(form(x, f) is not None for f in forms for x in (sd, c.value)):
            raise Broken("the scale or value of an observation depends on it", c.span)
        if isinstance(c.value.type, T.Array):
            raise Broken("arrays are observed in a step: observe numbers, one by one", c.span)
        slopes = [belief.let(s, "slope") for s in self._slopes(mean, forms)]
        shift, var = belief.condition(slopes, minus(c.value, mean), sd, None)
        predicted = op("normal", plus(mean, shift), op("sqrt", op("abs", var)))
        score = replace(c, dist=predicted)
        belief.binds.append(ir.Bind(self.fresh.name("_"), score))

    def _slopes_of_state(self, forms: list[dict[str, Form]]) -> list[Slopes]:
        after = [self._after(f) for f in forms]
        return [
            [ZERO if a[i] is None else a[i].slope for a in after]  # type: ignore[union-attr]
            for i in self.linear
        ]


def _items(t: T.Type) -> list:
    """The parts of a state that is a tuple or a record; none of a number."""
    return [k for k, _ in parts_of(t)]
