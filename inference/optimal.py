"""Optimal resampling: of many particles with unequal weights, n are left, the heavy ones as they
are.

A particle that weighs more than a level c is kept with its weight; of the others as many are drawn
as there are slots left, each with probability w / c, and those weigh c. Law: `ProperlyWeighted`. Of
all ways to leave n particles that keep it, this changes the weights least in mean square. It makes
room for particles that were multiplied, one for every value of a choice, or that began in large
number; where n is the size already, nothing changes.

Fearnhead and Clifford, "On-line inference for hidden Markov models via particle filters" (2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ppl.inference.population import Population
from ppl.inference.resample import Uniforms

Array = Any


class Level(NamedTuple):
    """Particles by weight, the heaviest first (size,); how many are kept as they are; what the
    others weigh then; and the running sum (size,) of the probabilities with which these are
    drawn."""

    order: Array
    kept: Array
    weight: Array
    upto: Array


def level(w: Array, n: int) -> Level:
    """Of weights w (size,), more than n."""
    xp = w.__array_namespace__()
    order = xp.argsort(-w, stable=True)
    heavy = xp.take(w, order)
    rest = xp.flip(xp.cumsum(xp.flip(heavy)))  # of each and all that are lighter
    slots = n - xp.arange(n)
    kept = xp.argmax(xp.where(heavy[:n] * slots <= rest[:n], 1, 0))
    c = rest[kept] / (n - kept)
    light = xp.where(xp.arange(w.shape[0]) >= kept, heavy, 0.0)
    return Level(order, kept, c, xp.cumsum(light) / xp.where(c > 0, c, xp.ones_like(c)))


@dataclass(frozen=True)
class Optimal:
    """The policy that leaves `size` particles, wherever there are more."""

    size: int

    def due(self, population: Population) -> bool:
        """Whether there are more."""
        return population.size > self.size

    def __call__(self, population: Population, uniforms: Uniforms) -> tuple[Array, Population]:
        """Each remaining particle's ancestor, (size,) indices, and the weights. Pure."""
        w, n = population.weights, self.size
        xp = w.__array_namespace__()
        if not self.due(population):
            return xp.arange(population.size), population
        found = level(w, n)
        u = uniforms(1, lambda: (found.upto % 1)[None], xp.asarray(True))[0]
        slots = xp.arange(n)
        drawn = xp.searchsorted(found.upto, slots - found.kept + u, side="right")
        last = xp.maximum(xp.sum(xp.where(w > 0, 1, 0)) - 1, 0)  # a point may be rounded up
        place = xp.where(slots < found.kept, slots, xp.minimum(drawn, last))
        ancestors = xp.take(found.order, place)
        own = xp.take(population.log_weights, ancestors)
        some = xp.log(xp.where(found.weight > 0, found.weight, xp.ones_like(found.weight)))
        light = xp.where(found.weight > 0, some + population.log_mass, -xp.inf)
        return ancestors, Population(xp.where(slots < found.kept, own, light))
