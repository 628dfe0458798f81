"""What computations do with a value: whether they return it, score by it, draw from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.passes.conjugacy.linear import Broken

Path = tuple[str, ...]


@dataclass(frozen=True)
class Uses:
    """value: the result may depend on it. scored: the first score that may."""

    value: bool
    scored: ir.Comp | None = None

    def __or__(self, other: Uses) -> Uses:
        return Uses(self.value or other.value, self.scored or other.scored)


NOTHING = Uses(False)


def uses(c: ir.Comp, names: frozenset[str]) -> Uses:
    """What a computation does with the variables `names`. Errs on the side of doing it."""
    if names.isdisjoint(c.free):
        return NOTHING
    match c:
        case ir.Block(binds=binds, result=result):
            out = NOTHING
            for b in binds:
                found = uses(b.comp, names)
                out |= Uses(False, found.scored)
                names = names | {b.name} if found.value else names
            return out | uses(result, names)
        case ir.At(body=body):
            return uses(body, names)
        case ir.Observe() | ir.Score():
            return Uses(False, c)
        case ir.Run(measure=measure):
            return Uses(True, None if isinstance(measure.type, T.Dist) else c)
        case ir.If(cond=cond, then=then, other=other):
            arms = uses(then, names) | uses(other, names)
            if names.isdisjoint(cond.free):
                return arms
            return Uses(True, c if scores(then) or scores(other) else arms.scored)
        case ir.For(param=param, over=over, body=body, guard=None):
            here = names if names.isdisjoint(over.free) else names | {param.name}
            return uses(body, here)
        case ir.Scan(carry=carry, init=init, param=param, over=over, body=body):
            here = names if names.isdisjoint(over.free) else names | {param.name}
            first = uses(body, here)
            if first.value or not names.isdisjoint(init.free):
                return Uses(True, first.scored or uses(body, here | {carry.name}).scored)
            return first
        case _:
            return Uses(True, c if c.effectful else None)


def scores(c: ir.Comp) -> bool:
    """Whether a computation may score. Errs on the side of doing it."""
    match c:
        case ir.Observe() | ir.Score():
            return True
        case ir.Run(measure=measure):
            return not isinstance(measure.type, T.Dist)
        case _:
            return any(scores(n) for n in ir.children(c) if isinstance(n, ir.Comp))


def draws(c: ir.Comp, path: Path) -> Iterator[Path]:
    """The paths of the draws of a computation that runs at a path. Raises Broken where it runs
    measures that are not known."""
    match c:
        case ir.At(step=step, body=body):
            yield from draws(body, (*path, step))
        case ir.Run(measure=measure):
            if not isinstance(measure.type, T.Dist):
                raise Broken("a measure that is made elsewhere is run", c.span)
            yield path
        case _:
            for n in ir.children(c):
                if isinstance(n, ir.Comp):
                    yield from draws(n, path)


def steps(c: ir.Comp, path: Path) -> Iterator[Path]:
    """The paths of the binders of a computation that runs at a path."""
    if isinstance(c, ir.At):
        path = (*path, c.step)
        yield path
    for n in ir.children(c):
        if isinstance(n, ir.Comp):
            yield from steps(n, path)
