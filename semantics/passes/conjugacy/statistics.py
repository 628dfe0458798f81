"""The statistics of a site's observations, as code that computes them beside the observations.

A computation that observes is read again, without its effects: every observation gives its
statistics, loops add them up. What belongs to one element of an array of sites stays apart: loops
over the array give arrays of statistics, and what is looked up by an index is added where it
points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import bind, each, part, parts_of, returned, zipped
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes.conjugacy.build import (
    ZERO,
    as_type,
    op,
    pair,
    plus,
    times,
)
from ppl.semantics.passes.conjugacy.families import Family, Use
from ppl.semantics.passes.conjugacy.linear import (
    WHOLE,
    At,
    Broken,
    Form,
    Forms,
    Linear,
    Own,
    Whole,
    depends,
    form,
)
from ppl.semantics.passes.conjugacy.reading import Part, Reader
from ppl.semantics.signatures import PRIMITIVES

_ORDER = {"itself": 0, "multiple": 1, "affine": 2}


class Collector(Reader):
    """Reads computations for one site of a family. Binders of what it reads are its own to use:
    it is given a copy with new names."""

    def __init__(self, family: Family, fresh: Fresh):
        super().__init__(fresh)
        self.family = family

    def comp(self, c: ir.Comp, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        """The statistics of what runs, computed in `binds`. Raises Broken."""
        match c:
            case ir.Observe():
                return self.observe(c, forms, binds) if depends(c, forms) else []
            case ir.Block():
                return self.block(c, dict(forms), binds)
            case ir.At(body=body):
                return self.comp(body, forms, binds)
            case ir.For(guard=None):
                return self.plate(c, forms, binds)
            case ir.If():
                return self.branch(c, forms, binds)
            case ir.Scan():
                return self.scan(c, forms, binds)
            case _ if not depends(c, forms):
                return []
            case ir.Score():
                raise Broken("a `factor` or `condition` depends on it", c.span)
            case ir.Run():
                raise Broken("a draw in a loop with its observations depends on it", c.span)
            case _:
                raise Broken("it is observed in a computation of another form", c.span)

    def block(self, c: ir.Block, forms: dict[str, Form], binds: list[ir.Bind]) -> list[Part]:
        out = self.statements(c, forms, binds)
        return out + self.comp(c.result, forms, binds)

    def statements(self, c: ir.Block, forms: dict[str, Form], binds: list[ir.Bind]) -> list[Part]:
        """The statistics of a block's statements; `forms` learns what their variables are."""
        out: list[Part] = []
        for i, b in enumerate(c.binds):
            if not b.comp.effectful:
                self.learn(b, forms, binds)
                continue
            if b.name in ir.Block(c.type, c.binds[i + 1 :], c.result).free:
                raise Broken("its observations depend on what is drawn beside them", b.comp.span)
            out += self.comp(b.comp, forms, binds)
        return out

    def observe(self, c: ir.Observe, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        dist = self.resolved(c.dist)
        if not isinstance(dist, ir.Op):
            raise Broken("it is observed under a distribution that is chosen elsewhere", c.span)
        row = PRIMITIVES[dist.op]
        if isinstance(c.value.type, T.Array) and (row.kind == "elementwise" or dist.op == "iid"):
            return self.plate(self.element_by_element(c, dist), forms, binds)
        found = self.family.likelihoods.get(dist.op)
        if found is None:
            raise Broken(
                f"`{dist.op}` is not conjugate to `{self.family.prior}` (these are: "
                f"{self.family.takes})",
                c.span,
            )
        entering = form(dist.args[found.parameter], forms)
        value = form(c.value, forms)
        for i, a in enumerate(dist.args):
            if i != found.parameter and depends(a, forms) and form(a, forms) is not None:
                raise Broken(f"another argument of `{dist.op}` depends on it", c.span)
        if entering is None and value is None:
            return []
        if value is not None:
            if dist.op != "normal":
                raise Broken("it is part of the value that is observed", c.span)
            entering = _less(entering, value, c)
        assert entering is not None
        if _ORDER[entering.kind] > _ORDER[found.kind]:
            wanted = {"itself": "it itself", "multiple": "a multiple of it"}[found.kind]
            raise Broken(f"the argument of `{dist.op}` has to be {wanted}", c.span)
        values, at = found.statistics(Use(dist.args, c.value, entering))
        return [Part(values, at)]

    def resolved(self, v: ir.Value) -> ir.Value:
        while isinstance(v, ir.Var) and v.name in self.known:
            v = self.known[v.name]
        return v

    def element_by_element(self, c: ir.Observe, dist: ir.Op) -> ir.For:
        """An observation of an array of independent elements, as a loop over them."""
        law: ir.Value | None = dist.args[1] if dist.op == "iid" else None
        arrays = [] if law is not None else [a for a in dist.args if isinstance(a.type, T.Array)]
        over = zipped([c.value, *arrays]) if arrays else c.value
        row = ir.Param(self.fresh.name("element"), over.type.item)  # type: ignore[attr-defined]
        one = ir.Var(row.type, row.name, span=c.span)
        parts = iter([part(one, i) for i in range(1 + len(arrays))] if arrays else [one])
        value = next(parts)
        if law is None:
            args = tuple(next(parts) if isinstance(a.type, T.Array) else a for a in dist.args)
            law = ir.Op(T.Dist(value.type), dist.op, args, span=dist.span)
        return replace(each(row, over, replace(c, dist=law, value=value)), span=c.span)

    def plate(self, c: ir.For, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        if not depends(c, forms):
            return []
        inner, inside, loop = self.opened(c.param, c.over, forms)
        parts = self.comp(c.body, inner, inside)
        n = op("len", c.over.args[0] if _is_zip(c.over) else c.over)  # type: ignore[attr-defined]
        out = []
        for p, values in zip(parts, self._grouped(parts, loop, inside, binds), strict=True):
            arrays = p.of([self._spread(v, old, n) for v, old in zip(values, p.all, strict=True)])
            out.append(self.closed(arrays, p, c))
        return out

    def _grouped(self, parts, loop, inside, binds):
        """All parts of an iteration gathered by one loop."""
        everything = tuple(v for p in parts for v in p.all)
        arrays = iter(self.gathered(loop, inside, everything, binds) if parts else ())
        return [[next(arrays) for _ in p.all] for p in parts]

    def _spread(self, v: ir.Value, one: ir.Value, n: ir.Value) -> ir.Value:
        """An array of n equal values, if it is none yet."""
        return v if T.rank(v.type) > T.rank(one.type) else op("repeat", v, n)

    def closed(self, arrays: Part, one: Part, c: ir.For) -> Part:
        """Statistics of a loop, from the arrays of those of its iterations."""
        if one.at == Own(c.param.name):
            return Part(arrays.values, WHOLE)
        if isinstance(one.at, ir.Value):
            nested = T.rank(one.at.type) > 0
            return Part(*_flat(arrays) if nested else (arrays.values, arrays.at))
        if isinstance(one.at, Whole):
            ones = op("ones", op("len", arrays.values[0]))
            return Part(tuple(op("matmul", ones, v) for v in arrays.values), WHOLE)
        return Part(tuple(op("sum", v) for v in arrays.values), one.at)

    def branch(self, c: ir.If, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        if depends(c.cond, forms):
            raise Broken("which branch is taken depends on it", c.cond.span)
        out = []
        for arm, taken in ((c.then, True), (c.other, False)):
            inside: list[ir.Bind] = []
            parts = self.comp(arm, forms, inside)
            everything = tuple(v for p in parts for v in p.all)
            if not everything:
                continue
            if any(isinstance(v.type, T.Array) for v in everything):
                raise Broken("a whole array of it is observed in a branch", arm.span)
            zeros = tuple(as_type(ZERO, v.type) for v in everything)
            body, nothing = block(inside, returned(pair(everything))), returned(pair(zeros))
            arms = (body, nothing) if taken else (nothing, body)
            chosen = bind(
                binds, self.fresh.name("arm"), ir.If(body.type, c.cond, *arms, span=c.span)
            )
            values = iter(
                [part(chosen, i) for i in range(len(everything))]
                if len(everything) > 1
                else [chosen]
            )
            out += [p.of([next(values) for _ in p.all]) for p in parts]
        return out

    def scan(self, c: ir.Scan, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        """Statistics are carried along with a loop's state."""
        if not depends(c, forms):
            return []
        found, last = self.carried(c, forms, binds, "last")
        total = iter(part(last, found.size + i) for i in range(len(parts_of(last.type))))
        return [
            Part(tuple(as_type(next(total), v.type) for v in p.values), None) for p in found.parts
        ]


def _is_zip(v: ir.Value) -> bool:
    return isinstance(v, ir.Op) and v.op == "zip"


def _less(a: Linear | None, b: Linear, c: ir.Observe) -> Linear:
    """The form of the mean less the value."""
    negative = op("neg", b.slope)
    if a is None:
        return Linear("affine", negative, b.at)
    if a.at != b.at:
        raise Broken("two elements of it meet in one observation", c.span)
    return Linear("affine", plus(a.slope, negative), a.at)


def _flat(p: Part) -> tuple[tuple[ir.Value, ...], At]:
    assert isinstance(p.at, ir.Value)
    return tuple(op("flatten", v) for v in p.values), op("flatten", p.at)


def totals(
    parts: Sequence[Part], count: int, size: ir.Value | None, fresh: Fresh, binds: list[ir.Bind]
) -> tuple[ir.Value, ...]:
    """`count` statistics added up: numbers, or arrays of `size` for an array of sites."""
    sums: list[ir.Value] = [ZERO] * count
    if size is not None:
        sums = [op("zeros", size)] * count
    for p in parts:
        for k, v in enumerate(p.values):
            if isinstance(p.at, ir.Value):
                v = _scattered(v, p.at, size, fresh, binds)
            sums[k] = v if sums[k] == ZERO else plus(sums[k], v)
    return tuple(bind(binds, fresh.name("total"), returned(v)) for v in sums)


def _scattered(
    v: ir.Value, at: ir.Value, size: ir.Value | None, fresh: Fresh, binds: list[ir.Bind]
) -> ir.Value:
    """Values added up where their indices point, in an array of `size` zeros."""
    assert size is not None
    if not isinstance(at.type, T.Array):
        return times(v, op("one_hot", at, size))
    row = ir.Param(fresh.name("at"), at.type.item)
    hot = each(row, at, returned(op("one_hot", ir.Var(row.type, row.name), size)))
    return op("matmul", v, bind(binds, fresh.name("where"), hot))
