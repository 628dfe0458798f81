"""Shapes of draws: what tells whether a value that was drawn from one law may be kept under another
of the family, when sizes are random."""

from __future__ import annotations

from typing import Any

from ppl.semantics.machine.distributions.combinators import Dirac, Iid, Mixture, Product
from ppl.semantics.machine.distributions.family import Family
from ppl.semantics.machine.distributions.table import FAMILIES, joint
from ppl.semantics.machine.values import ARGS, FAMILY

Shape = tuple[int, ...]


def shape(x: Any) -> Shape:
    """Of an array, which is rectangular."""
    sizes = []
    while type(x) is tuple:
        sizes.append(len(x))
        x = x[0] if x else None
    return tuple(sizes)


def shape_drawn(family: Family, args: tuple[Any, ...]) -> Shape | None:
    """Of every draw from a law of numbers or arrays; None where draws of one law may differ in it,
    or may be no such values. Raises Dead at illegal arguments."""
    if isinstance(family, Iid):
        n, d = args
        inner = shape_drawn(d[FAMILY], d[ARGS])
        return None if inner is None else (n, *inner)
    if isinstance(family, Product):
        return shape(next((a for a in args if type(a) is tuple), 0))
    if isinstance(family, Mixture):
        shapes = {shape_drawn(d[FAMILY], d[ARGS]) for d in args[1]}
        return shapes.pop() if len(shapes) == 1 else None
    if joint(family):
        return shape(family.sample(0.5, 0, *args))
    numbers = family.name in FAMILIES and not isinstance(family, Dirac)
    return () if numbers else None
