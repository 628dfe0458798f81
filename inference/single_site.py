"""Single-site Metropolis-Hastings over traces whose sites come and go.

One site of the trace, chosen uniformly, is drawn again from its prior; the program is run with the
other sites' values, drawing those it newly meets from their priors. Law: `Reversible(posterior)`.

Write x for the trace and x' for the proposed one, n and n' for their numbers of sites, L for the
product of the scores, and for a site in both p(v) and p'(v) for its density in each. Densities of
the chosen site, of new sites and of those that vanished are those that they are (or, in the
reverse move, would be) proposed from, and cancel. What is left to accept with is

    min(1,  L(x') / L(x)  ·  n / n'  ·  Π p'(v) / p(v) over the other sites in both).

n / n' is the correction that Wingate, Stuhlmüller and Goodman, "Lightweight implementations of
probabilistic programming languages via transformational compilation" (2011), needed in its erratum.
A site counts as the same one if its path, its family's kind and, of arrays, the shape of its draws
are: the values of another family or size are of another measure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from ppl.inference.choices import ACCEPT, COIN, INDEX, SITE
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import Execution
from ppl.semantics.machine.distributions.shapes import shape_drawn
from ppl.semantics.machine.omega import Source
from ppl.semantics.machine.state import Dead, Draw, Omega, State

#: a program applied to its data
Run = Callable[[Omega], Execution]


@dataclass(slots=True, eq=False)
class Site:
    """One random choice of a trace; not changed once it is made."""

    value: Any
    family: Any
    args: tuple[Any, ...]

    def log_prob(self, value: Any) -> float:
        return self.family.log_prob(value, *self.args)


class Trace(NamedTuple):
    """An execution, and its sites by the hash of their paths, in the order of drawing."""

    execution: Execution
    sites: Mapping[int, Site]

    @property
    def log_weight(self) -> float:
        """The sum of the scores, without the sites' own densities."""
        return self.execution.log_weight


class Revision:
    """A source of randomness for one run: the values of `given` but for the site `chosen`, and
    `fresh` ones for it and for all sites that `given` has not.

    After the run, `sites` are its sites and `log_ratio` is Σ log p'(v) - log p(v) over the sites
    that kept their values.
    """

    __slots__ = ("given", "chosen", "fresh", "sites", "log_ratio")

    def __init__(self, given: Mapping[int, Site], chosen: int | None, fresh: Omega):
        self.given, self.chosen, self.fresh = given, chosen, fresh
        self.sites: dict[int, Site] = {}
        self.log_ratio = 0.0

    def begin(self, state: State) -> Draw:
        new, chosen = self.fresh.begin(state), self.chosen

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            sites, old = self.sites, self.given.get(path)
            if path in sites:
                raise fail(
                    "E504",
                    f"two random choices, one of them from `{family.name}`, have the same name",
                    hint="bind the draws to different names with `~`",
                )
            if old is None or path == chosen:
                value = new(path, family, args)
                sites[path] = Site(value, family, args)
                return value
            value, before = old.value, old.args
            if old.family is family and (before is args or before == args):
                sites[path] = old
                return value
            if not _alike(old, family, args):
                value = new(path, family, args)
                sites[path] = Site(value, family, args)
                return value
            sites[path] = site = Site(value, family, args)
            ratio = site.log_prob(value)
            if ratio == -math.inf:
                raise Dead
            self.log_ratio += ratio - old.log_prob(value)
            return value

        return draw

    def mark(self) -> Any:
        return len(self.sites), self.log_ratio, self.fresh.mark()

    def restore(self, mark: Any) -> None:
        size, self.log_ratio, fresh = mark
        while len(self.sites) > size:
            self.sites.popitem()
        self.fresh.restore(fresh)

    def trace(self, run: Run) -> Trace:
        """The run's trace. What its functions draw later is fresh, and belongs to no trace."""
        trace = Trace(run(self), self.sites)
        self.given, self.sites = {}, {}
        return trace


def _alike(old: Site, family: Any, args: tuple[Any, ...]) -> bool:
    """Whether a site's value may be kept under another law. A relation between the two laws, so
    that it holds of the reverse move just if it does of this one."""
    a = old.family
    if a is not family and (a.name != family.name or a.discrete != family.discrete):
        return False
    if type(old.value) is not tuple:
        return True
    return shape_drawn(a, old.args) == shape_drawn(family, args)


def first_trace(run: Run, source: Omega) -> Trace:
    """A run forward, which may have weight zero."""
    return Revision({}, None, source).trace(run)


def revise(run: Run, trace: Trace, source: Source) -> Trace:
    """One step of the kernel: the next trace, which is `trace` itself if the move is rejected."""
    n = len(trace.sites)
    if n == 0:
        return trace
    k = source.draw(SITE, INDEX, (n,))
    chosen = next(islice(trace.sites, k, None))
    revision = Revision(trace.sites, chosen, source)
    proposed = revision.trace(run)
    if not proposed.execution.alive:
        return trace
    log_ratio = (
        proposed.log_weight - trace.log_weight + revision.log_ratio
        + math.log(n) - math.log(len(proposed.sites))
    )  # fmt: skip
    if log_ratio >= 0 or source.draw(ACCEPT, COIN, (math.exp(log_ratio),)):
        return proposed
    return trace
