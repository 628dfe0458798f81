"""Gibbs sampling by enumeration: a site of finitely many values, drawn given all other sites.

The program is run once for every value. Law: `Reversible(posterior)` of each site's step, and
`Invariant(posterior)` of the steps in turn.

A value may change which other sites there are. Runs draw those that they newly meet from their
priors, once for all values: they are put into a *pool*, from which later runs take them. The trace
of a value is then a function of the value and the pool, and the pool is the same whichever of the
values the chain is at. So the choice among the values is a Gibbs step on values and pool together.
The weight of value i is the density of everything if the chain were at i,

    p(i) · L_i · Π p_i(v) over the sites of i's trace · Π p_u(v) over the other sites of the pool,

u being the first other value, in order, whose run meets the site, which draws it. Where no value
changes which sites there are, this is the exact conditional law. (Neal, "Markov chain sampling for
non-linear state space models using embedded hidden Markov models", 2003, has pools of this kind.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ppl.inference.choices import CATEGORICAL, VALUE
from ppl.inference.kernels.machine.resuming import Resumable
from ppl.inference.kernels.machine.traces import (
    Choose,
    Run,
    Site,
    Trace,
    Turns,
    alike,
    among,
    named_twice,
)
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.machine.state import Dead, Draw, Omega, State

#: what tells sites of the pool apart: the path, and which of the kinds of site met there
Key = tuple[int, int]


class Pool:
    """Sites by path, each with the law that it was drawn from; of other kinds at one path, each."""

    def __init__(self, trace: Trace):
        self.trace = trace
        self.sites: dict[int, list[Site]] = {k: [site] for k, site in trace.sites.items()}

    def keys(self) -> set[Key]:
        return {(path, k) for path, kinds in self.sites.items() for k in range(len(kinds))}


class Alternative:
    """A source of randomness for the run in which the site at `path` has `value`, and the others
    are those of the pool; it grows by what the pool has not, which is `fresh`.

    met: every site but that at `path` that the run came to, by key, with its density there relative
    to that under the law it was drawn from (logarithms).
    """

    def __init__(self, pool: Pool, path: int, value: Any, fresh: Omega):
        self.pool, self.path, self.value, self.fresh = pool, path, value, fresh
        self.given, self.past = pool.trace.sites, pool.trace.past
        self.sites: dict[int, Site] = {}
        self.met: dict[Key, float] = {}
        self._added: list[int] = []

    def changes(self) -> tuple[int, int]:
        """Where the site is in the present trace."""
        first = list(self.given).index(self.path)
        return first, first

    def keep(self, kept: Sequence[tuple[int, int, int]]) -> None:
        """Put sites of the present trace, which the run would meet as they are, among its own."""
        paths = list(self.given)
        self.sites = among(self.sites, self.given, paths, kept)
        self.met |= {(path, 0): 0.0 for _, i, j in kept for path in paths[i:j]}

    def begin(self, state: State) -> Draw:
        new, pool, met, sites = self.fresh.begin(state), self.pool.sites, self.met, self.sites

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            if path in sites:
                raise named_twice(family)
            if path == self.path:
                sites[path] = Site(self.value, family, args)
                return self.value
            kinds = pool.setdefault(path, [])
            for k, old in enumerate(kinds):
                if old.family is family and (old.args is args or old.args == args):
                    sites[path], met[path, k] = old, 0.0
                    return old.value
                if alike(old, family, args):
                    sites[path] = site = Site(old.value, family, args)
                    here = site.log_prob(old.value)
                    met[path, k] = here - old.log_prob(old.value) if here > -math.inf else here
                    if here == -math.inf:
                        raise Dead
                    return old.value
            value = new(path, family, args)
            sites[path] = site = Site(value, family, args)
            met[path, len(kinds)] = 0.0
            kinds.append(site)
            self._added.append(path)
            return value

        return draw

    def mark(self) -> Any:
        return len(self.sites), len(self.met), len(self._added), self.fresh.mark()

    def restore(self, mark: Any) -> None:
        size, met, added, fresh = mark
        while len(self._added) > added:
            self.pool.sites[self._added.pop()].pop()
        while len(self.sites) > size:
            self.sites.popitem()
        while len(self.met) > met:
            self.met.popitem()
        self.fresh.restore(fresh)


@dataclass(frozen=True, eq=False)
class Candidate:
    """The trace of one value (None if its weight is zero); what the run met, as `Alternative`."""

    trace: Trace | None
    met: dict[Key, float]
    log_p: float


def options(site: Site) -> Sequence[tuple[Any, Any]] | None:
    """A site's values and their probabilities; None if they are not finitely many, or too many."""
    try:
        return site.family.support(*site.args)
    except DiagnosticError as error:
        if error.diagnostics[0].code != "E807":
            raise
        return None


def enumerate_site(run: Run, trace: Trace, path: int, turns: Turns) -> Trace:
    """The step for the site at a path, which has finitely many values."""
    values = options(trace.sites[path])
    assert values is not None
    if len(values) < 2:
        return trace
    step = turns.step()
    pool, found = Pool(trace), []
    here = next((i for i, (v, _) in enumerate(values) if v == trace.sites[path].value), None)
    if here is None:
        raise fail("E857", f"a site has a value that `{trace.sites[path].family.name}` has not")
    for i, (value, p) in enumerate(values):
        if i == here:
            met = {(k, 0): 0.0 for k in trace.sites if k != path}
            found.append(Candidate(trace, met, math.log(p)))
            continue
        source = Alternative(pool, path, value, turns.source.at(step, i))
        if isinstance(run, Resumable):
            execution, past = run.revised(source)
        else:
            execution, past = run(source), None
        alive = Trace(execution, source.sites, past) if execution.alive else None
        found.append(Candidate(alive, source.met, math.log(p)))
    chosen = turns.source.at(step, 0).draw(
        VALUE, CATEGORICAL, (shares(weights(found, pool, path)),)
    )
    out = found[chosen].trace
    assert out is not None
    return out


def weights(found: Sequence[Candidate], pool: Pool, path: int) -> list[float]:
    """The logarithm of every candidate's weight, up to a constant."""
    everything = pool.keys() - {(path, 0)}
    out = []
    for i, at in enumerate(found):
        if at.trace is None:
            out.append(-math.inf)
            continue
        total = at.log_p + at.trace.log_weight + sum(at.met.values())
        if len(at.met) < len(everything):
            for key in everything - at.met.keys():
                total += next(u.met[key] for j, u in enumerate(found) if j != i and key in u.met)
        out.append(total)
    return out


def shares(log_weights: Sequence[float]) -> tuple[float, ...]:
    """Weights that sum to 1."""
    top = max(log_weights)
    masses = [math.exp(w - top) for w in log_weights]
    total = sum(masses)
    return tuple(m / total for m in masses)


def sweep(run: Run, trace: Trace, choose: Choose, turns: Turns) -> tuple[Trace, int, int]:
    """Every site that `choose` gives in turn, if it has finitely many values: the trace, how many
    steps that were, and how many of them changed it.

    The turns are those of all paths there could be, in the order of their hashes; a path that the
    trace has not is passed over. So the order does not depend on the trace, and all steps together
    leave invariant what each of them does.
    """
    steps = changed = 0
    todo = sorted(choose(trace), reverse=True)
    while todo:
        path = todo.pop()
        if options(trace.sites[path]) is None:
            continue
        after = enumerate_site(run, trace, path, turns)
        steps += 1
        if after is not trace:
            changed, trace = changed + 1, after
            todo = sorted((k for k in choose(trace) if k > path), reverse=True)
    return trace, steps, changed
