"""What is observed, drawn where it is missing: one observation of part of some data.

An independent product is drawn element by element; a value that its distribution can give and its
type cannot has no mass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import Leaf, bind, each, part, returned, zipped
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes import hole_errors as errors
from ppl.semantics.passes.hole_views import Views
from ppl.semantics.signatures import PRIMITIVES, Distribution
from ppl.semantics.subtypes import below


@dataclass(frozen=True)
class Drawing:
    """An observation of a part of `leaf`; elements that are missing are drawn at `step`. With
    `finite`, a distribution with infinitely many values is refused."""

    leaf: Leaf
    step: str
    views: Views
    fresh: Fresh
    finite: bool

    def value(self, c: ir.Observe, missing: ir.Value) -> ir.Comp:
        """What is observed, drawn where it is missing and scored elsewhere."""
        if isinstance(c.value.type, T.Array):
            return self.elements(c, missing)
        scored = ir.Block(
            c.value.type, (ir.Bind(self.fresh.name("_"), c),), returned(c.value), span=c.span
        )
        return ir.If(c.value.type, missing, self.draw(c), scored, span=c.span)

    def elements(self, c: ir.Observe, missing: ir.Value) -> ir.Comp:
        """An independent product, element by element."""
        dist = self.views.resolve(c.dist)
        match dist:
            case ir.Op(op="iid", args=(_, law)):
                arrays: list[ir.Value] = []
                inner: Callable[[list[ir.Value]], ir.Value] = lambda elements: law  # noqa: E731
            case ir.Op() if PRIMITIVES[dist.op].kind == "elementwise":
                arrays = [a for a in dist.args if isinstance(a.type, T.Array)]
                inner = partial(_of_elements, dist)
            case _:
                family = dist.op if isinstance(dist, ir.Op) else "its distribution"
                raise errors.jointly(self.leaf, family, c.span)
        over = zipped([c.value, missing, *arrays])
        row = ir.Param(self.fresh.name("element"), over.type.item)  # type: ignore[attr-defined]
        one = ir.Var(row.type, row.name, span=c.value.span)
        value, where, *rest = (part(one, i) for i in range(2 + len(arrays)))
        observed = replace(c, dist=inner(rest), value=value)
        return replace(each(row, over, self.value(observed, where)), span=c.span)

    def draw(self, c: ir.Observe) -> ir.Comp:
        """An element drawn from its distribution, if that can give values of its type."""
        item: T.Type = c.dist.type.item  # type: ignore[attr-defined]
        wanted = c.value.type
        dist = self.views.resolve(c.dist)
        row = PRIMITIVES.get(dist.op) if isinstance(dist, ir.Op) else None
        if self.finite and isinstance(row, Distribution) and not row.finite:
            if row.kind == "elementwise":  # what is built of others may have a bound
                raise errors.infinite(self.leaf, row.name, c.span)
        run = ir.At(item, self.step, ir.Run(item, c.dist, span=c.span), span=c.span)
        if below(item, wanted):
            return run
        binds: list[ir.Bind] = []
        x = bind(binds, self.fresh.name(self.leaf.name), run)
        legal: ir.Value = ir.Op(T.BOOL, "ge", (x, ir.Lit(T.BIT, 0)))
        if wanted == T.PROB:
            legal = ir.Op(T.BOOL, "and", (legal, ir.Op(T.BOOL, "le", (x, ir.Lit(T.BIT, 1)))))
        score = ir.Op(T.REAL, "score_if", (legal,))
        bind(binds, self.fresh.name("_"), ir.Score(T.UNIT, score, span=c.span))
        cast = returned(ir.Op(wanted, f"checked_{wanted}", (x,)))
        zero = ir.Lit(wanted, 0.0 if T.is_real(wanted) else 0)
        return block(binds, ir.If(wanted, legal, cast, returned(zero)))


def _of_elements(dist: ir.Op, elements: list[ir.Value]) -> ir.Op:
    """The law of an element of an independent product: `elements` are those of its arguments that
    are arrays."""
    left = iter(elements)
    args = tuple(next(left) if isinstance(a.type, T.Array) else a for a in dist.args)
    item: T.Type = dist.type.item.item  # type: ignore[attr-defined]
    return ir.Op(T.Dist(item), dist.op, args, span=dist.span)
