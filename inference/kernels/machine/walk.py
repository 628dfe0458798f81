"""Random walk Metropolis on traces whose sites come and go.

Continuous numbers move together, by Gaussian steps in their free coordinates; then integers and
booleans one site after the other, by plus or minus a power of two, or the other value. Law: every
step is `Reversible(posterior)`.

A step that makes other sites appear or vanish runs the program as any revision does: those are
drawn from their priors, and so is a moved site that is no longer the same one; what was to become
of it does not count, since it is averaged over. Bounds may depend on sites that moved: the density
of the way back is that under the bounds that it finds.

With `adapt`, warm-up learns each coordinate's spread, and the scale that accepts `target` of the
steps. Metropolis et al. (1953); Andrieu and Thoms, "A tutorial on adaptive MCMC" (2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ppl.inference.choices import INDEX, SITE, STEP
from ppl.inference.kernels.machine.coordinates import Line, Thin, lines, numbers, with_numbers
from ppl.inference.kernels.machine.single_site import accepts
from ppl.inference.kernels.machine.traces import (
    Choose,
    Revision,
    Run,
    Site,
    Sited,
    Trace,
    Turns,
    alike,
)
from ppl.semantics.machine.distributions.line import LINE
from ppl.semantics.machine.omega import Source
from ppl.semantics.machine.paths import step_hash

NORMAL = LINE["normal"]
#: a number of a site: the hash of the site's path, and which of its numbers
Coordinate = tuple[int, int]
#: shares of steps to accept: Roberts, Gelman and Gilks (1997)
ONE, MANY = 0.44, 0.234
#: visits before a coordinate's spread is that of what was seen
ENOUGH = 50


@dataclass
class Spread:
    """Mean and variance of what was seen (Welford)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def see(self, z: float) -> None:
        self.count += 1
        off = z - self.mean
        self.mean += off / self.count
        self.squares += off * (z - self.mean)

    @property
    def sd(self) -> float:
        """1 until enough was seen."""
        if self.count < ENOUGH or not self.squares > 0:
            return 1.0
        return math.sqrt(self.squares / (self.count - 1))


@dataclass
class Tuning:
    """What a chain's warm-up has learnt: changed in warm-up only."""

    log_scale: float
    steps: int = 0
    spreads: dict[Coordinate, Spread] = field(default_factory=dict)

    def scale(self, at: Coordinate) -> float:
        known = self.spreads.get(at)
        return math.exp(self.log_scale) * (1.0 if known is None else known.sd)

    def knows(self, zs: Iterable[Coordinate]) -> bool:
        """Whether it has seen enough of these coordinates to tell their spread."""
        return all(at in self.spreads and self.spreads[at].count >= ENOUGH for at in zs)

    def learn(self, zs: dict[Coordinate, float], off: float) -> None:
        """From where the chain is, and how far its log scale is off, or its acceptance."""
        for at, z in zs.items():
            self.spreads.setdefault(at, Spread()).see(z)
        self.steps += 1
        rate = min(1.0, 4 * self.steps**-0.6)
        self.log_scale += rate * off


def continuous(site: Site) -> bool:
    """Whether a random walk moves some number of it by Gaussian steps."""
    value = site.value
    if site.family.name == "dirac":
        return False
    return type(value) is float or any(type(v) is float for v in numbers(value))


def walk(
    run: Run, trace: Trace, choose: Choose, tuning: Tuning, source: Source, *, learns: bool = False
) -> Trace:
    """One step of all continuous numbers of the sites that `choose` gives."""
    chosen = [k for k in choose(trace) if continuous(trace.sites[k])]
    if not chosen:
        return trace
    log_ratio = -math.inf
    try:
        steps = [step_site(k, trace.sites[k], tuning, source) for k in chosen]
        moved = {s.path: s.value for s in steps}
        revision = Revision(trace.sites, (), source, moved, trace.past)
        proposed = revision.draft(run)
        if proposed.alive:
            log_ratio = proposed.log_weight - trace.log_weight + revision.log_ratio
            log_ratio += sum(way_back(s, proposed, tuning) for s in steps)
    except (ArithmeticError, ValueError):  # at an end of a support, which has no coordinate
        log_ratio = -math.inf
    moves = log_ratio > -math.inf and accepts(log_ratio, source)
    after = revision.finished(proposed) if moves else trace
    if learns:
        zs = _where(after, chosen)
        tuning.learn(zs, math.exp(min(0.0, log_ratio)) - (ONE if len(zs) == 1 else MANY))
    return after


class Stepped(NamedTuple):
    """A step of a site: the lines of its numbers, which of them moved, from what coordinates to
    what, and the value there."""

    path: int
    site: Site
    lines: Sequence[Line]
    which: Sequence[int]
    here: Sequence[float]
    there: Sequence[float]
    value: Any


def step_site(path: int, site: Site, tuning: Tuning, source: Source) -> Stepped:
    """Raises ArithmeticError, ValueError."""
    noise, across = step_hash(path, ""), lines(site)
    new = [site.value] if type(site.value) is not tuple else list(numbers(site.value))
    which, here, there = [], [], []
    for i, v in enumerate(new):
        if type(v) is float:
            z = across[i].free(v)
            to = z + source.draw(step_hash(noise, (i,)), NORMAL, (0.0, tuning.scale((path, i))))
            new[i] = across[i].back(to)
            which.append(i)
            here.append(z)
            there.append(to)
    return Stepped(path, site, across, which, here, there, with_numbers(site.value, new))


def way_back(step: Stepped, proposed: Sited, tuning: Tuning) -> float:
    """log of the density of stepping back at a site over that of the step; 0 if it is gone."""
    path, before, after = step.path, step.site, proposed.sites.get(step.path)
    if after is None or not alike(before, after.family, after.args):
        return 0.0
    out, across, back = 0.0, step.lines, lines(after)
    first, last = list(numbers(before.value)), list(numbers(after.value))
    for i, here, there in zip(step.which, step.here, step.there, strict=True):
        v, w = first[i], last[i]
        out += across[i].log_slope(w) - back[i].log_slope(v)
        if back[i] is not across[i] and back[i] != across[i]:  # else the steps are as long
            scale = tuning.scale((path, i))
            out += NORMAL.log_prob(back[i].free(v) - back[i].free(w), 0.0, scale)
            out -= NORMAL.log_prob(there - here, 0.0, scale)
    return out


def _where(trace: Trace, chosen: Sequence[int]) -> dict[Coordinate, float]:
    """The coordinates of those of the chosen sites that a trace has."""
    out: dict[Coordinate, float] = {}
    for path in chosen:
        site = trace.sites.get(path)
        if site is None:
            continue
        try:
            for i, (line, v) in enumerate(zip(lines(site), numbers(site.value), strict=True)):
                if type(v) is float:
                    out[path, i] = line.free(v)
        except (ArithmeticError, ValueError, Thin):
            continue
    return out


# ------------------------------------------------------------------------------------ whole numbers


def whole(site: Site) -> list[int]:
    """Which numbers of a site are integers or booleans."""
    if site.family.name == "dirac":
        return []
    return [i for i, v in enumerate(numbers(site.value)) if type(v) is not float]


def step_whole(run: Run, trace: Trace, path: int, scale: float, source: Source) -> Trace:
    """One step of one integer or boolean, any, of the site at a path."""
    site = trace.sites[path]
    which, new = whole(site), list(numbers(site.value))
    i = which[source.draw(SITE, INDEX, (len(which),))]
    if type(new[i]) is bool:
        new[i] = not new[i]
    else:
        powers = 1 + int(math.log2(max(1.0, scale)))
        k = source.draw(STEP, INDEX, (2 * powers,))
        new[i] += 2 ** (k // 2) * (1 if k % 2 else -1)
    moved = {path: with_numbers(site.value, new)}
    revision = Revision(trace.sites, (), source, moved, trace.past)
    proposed = revision.draft(run)
    if not proposed.alive:
        return trace
    log_ratio = proposed.log_weight - trace.log_weight + revision.log_ratio
    return revision.finished(proposed) if accepts(log_ratio, source) else trace


def walk_whole(
    run: Run, trace: Trace, choose: Choose, scale: float, turns: Turns
) -> tuple[Trace, int, int]:
    """Such a step of every site that `choose` gives, in turn: the trace, how many steps that were,
    and how many were accepted. (Of the order, see `gibbs.sweep`.)"""
    steps = changed = 0
    todo = sorted(choose(trace), reverse=True)
    while todo:
        path = todo.pop()
        if not whole(trace.sites[path]):
            continue
        after = step_whole(run, trace, path, scale, turns.next())
        steps += 1
        if after is not trace:
            changed, trace = changed + 1, after
            todo = sorted((k for k in choose(trace) if k > path), reverse=True)
    return trace, steps, changed
