"""Rows by name, and the families of distributions over arrays."""

from __future__ import annotations

from functools import cache

from ppl.semantics import types as T
from ppl.semantics.machine.distributions.combinators import COMBINATORS, Product
from ppl.semantics.machine.distributions.constrained import CONSTRAINED
from ppl.semantics.machine.distributions.counts import COUNTS
from ppl.semantics.machine.distributions.discrete import DISCRETE
from ppl.semantics.machine.distributions.family import Family
from ppl.semantics.machine.distributions.half_line import HALF_LINE
from ppl.semantics.machine.distributions.indices import INDICES
from ppl.semantics.machine.distributions.intervals import INTERVALS
from ppl.semantics.machine.distributions.line import LINE
from ppl.semantics.machine.distributions.multivariate import MULTIVARIATE
from ppl.semantics.machine.distributions.skewed import SKEWED
from ppl.semantics.signatures import PRIMITIVES

JOINT: dict[str, Family] = MULTIVARIATE | CONSTRAINED
CONTINUOUS: dict[str, Family] = LINE | HALF_LINE | INTERVALS | SKEWED
FAMILIES: dict[str, Family] = CONTINUOUS | DISCRETE | COUNTS | INDICES | JOINT | COMBINATORS


@cache
def family_of(name: str, type: T.Type) -> Family:
    """The family of the row `name` at a type: elementwise rows over arrays are products."""
    assert isinstance(type, (T.Dist, T.Measure))
    family = FAMILIES[name]
    if PRIMITIVES[name].kind == "elementwise" and isinstance(type.item, T.Array):
        return Product(family)
    return family


def joint(family: Family) -> bool:
    """Whether a draw is an array of elements that depend on one another."""
    return JOINT.get(family.name) is family
