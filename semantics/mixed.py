"""A Density some of whose coordinates are discrete: choices that are held instead of summed out.

Means the trace measure of its program over the free coordinates of continuous sites (Lebesgue
measure) and the held discrete ones (counting measure); the other finite sites are summed out. It is
what Markov kernels act on: besides the log density it has what a kernel needs the program for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

from ppl.semantics.density import Density, Position, unflatten
from ppl.semantics.diagnostics import Span


@dataclass(frozen=True)
class DiscreteSite:
    """A held discrete site.

    With `options`, its coordinate is the number of one of so many values, in an array of `shape`
    (the loops around the site); without, the coordinate is the value itself, an integer (loops
    leading), or an array of integers. In a `joint` law these depend on one another.
    """

    path: str
    shape: tuple[int, ...]
    options: int | None
    span: Span | None = None
    family: str = ""
    joint: bool = False


def _by_hand(*_: Any) -> Any:
    raise NotImplementedError("this density was written by hand, and there is no program to run")


class Whitened(NamedTuple):
    """Sites of Gaussian law given the others, in coordinates of independent standard normals."""

    to_standard: Callable[[Any, Position], dict[str, Any]]
    """(data, position) to the standard coordinates of these sites."""
    from_standard: Callable[[Any, Position], dict[str, Any]]
    """(data, position with standard coordinates) to the free ones of these sites."""
    log_likelihood: Callable[[Any, Position], Any]
    """(data, position with standard coordinates) to the log density of all else: the log density
    there less that of the standard normals."""


class InValues(NamedTuple):
    """Sites by their values instead of by coordinates. Raises E879 for a site that is not drawn by
    every run."""

    program: Any
    """The program, as IR."""
    named: Callable[[Any, Position], dict[str, Any]]
    """(data, position) to every named value as the evaluator has it, sites and others."""
    placed: Callable[..., tuple[Position, Any]]
    """(data, position, sites, values=None) to the position in which the sites have these values,
    arrays by path, and its log density with respect to them: without the Jacobians of the sites'
    coordinates."""
    form: Callable[[Callable[[Any, Position], Any]], Any]
    """The shapes of what a function of data and a position gives."""


@dataclass(frozen=True)
class MixedDensity(Density):
    """Positions have the free coordinates of `sites` and the integers of `discrete`."""

    discrete: tuple[DiscreteSite, ...] = field(default=(), compare=False)
    loops: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False)
    """The sizes of the loops around each site: it is drawn once for each index."""
    begin: Callable[[Any, Position, Any], tuple[Any, dict[str, Any]]] = field(
        default=_by_hand, compare=False
    )
    """(data, free coordinates, source of randomness) to the source and discrete coordinates, drawn
    from their laws given what comes before them."""
    redraw: Callable[..., tuple[Any, dict[str, Any], Any]] = field(default=_by_hand, compare=False)
    """(data, position, chosen, source) to the source, the position with the chosen draws made again
    from their laws, and the log density without these draws' own. chosen: booleans of the shape of
    its loops, for the paths of which some draw is. With source None, nothing is drawn: the
    position's own score."""
    given_rest: Callable[[str], Callable[[Any, Position, Any], tuple[Any, Any]] | None] = field(
        default=lambda path: None, compare=False
    )
    """Of a discrete site, by its path: (data, position, source) to the source and all its
    coordinates, drawn together from their exact law given every other site; None where that law
    does not come apart, so that it is a table over all elements at once."""
    sweep: Callable[..., tuple[Any, Any, dict[str, Any]]] | None = field(
        default=None, compare=False
    )
    """(data, position, moved sites, n, policy, source) to the source, the log weights (n,) of
    particles, and their coordinates (n, …) of the moved sites; the first particle goes along the
    position, unless retained=False. No site may be summed out."""
    whiten: Callable[[frozenset[str]], Whitened] = field(default=_by_hand, compare=False)
    """Sites by their paths; raises E862 if one is not Gaussian given the others."""
    in_values: InValues | None = field(default=None, compare=False)

    @property
    def count(self) -> int:
        """The number of discrete coordinates."""
        return sum(prod(s.shape) for s in self.discrete)

    def unflatten_discrete(self, vector: Any) -> dict[str, Any]:
        """Vectors (…, count) of integers as coordinates with the same leading axes."""
        return unflatten({s.path: s.shape for s in self.discrete}, vector)

    def flatten_discrete(self, position: Position) -> Any:
        """Coordinates as one vector (count,), the sites in order."""
        import jax.numpy as jnp

        parts = [jnp.reshape(jnp.asarray(position[s.path], int), (-1,)) for s in self.discrete]
        return jnp.concatenate([jnp.zeros(0, int), *parts])
