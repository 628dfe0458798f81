"""Metropolis-Hastings whose proposals are drawn by a program.

The program q is given present values of the trace, and draws new ones for the sites at the same
paths as its own. The program is run with them, the other sites keeping their values, and drawing
what it newly meets from its prior. Law: `Reversible(posterior)`.

Write u for what q draws at the trace x, r for what it would have to draw at the new trace x' to
come back, p and p' for the densities of sites in either. The ratio is that of the scores times

    Π p'(u) · Π q'(r) / (Π p(r) · Π q(u)) · Π p'(v) / p(v) over the sites that kept their values.

q has to draw the same sites on both ways, of those that both traces have; else the move is
rejected, since one way would be impossible.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.single_site import accepts
from ppl.inference.kernels.machine.traces import Site, Trace, Turns, alike, first_trace, named_twice
from ppl.inference.kernels.programmed import names_asked, values_asked
from ppl.semantics.analysis.binders import binders
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import Machine, MachineKey
from ppl.semantics.machine.paths import Path
from ppl.semantics.machine.state import Dead, Draw, Omega, State

NEVER = -math.inf
Sites = Mapping[int, Site]


class Helper:
    """A program beside the one that is inferred: its parameters get values of that one's traces, or
    what is given as `data`.

    Raises:
        DiagnosticError: as `values_asked`.
    """

    def __init__(self, model: Any, data: Mapping[str, Any], program: Program):
        self.machine: Machine = model.machine.under(program.machine.budget)
        self.name, self.data = model.name, data
        self.wanted = values_asked(model, data, program.ir)
        self.names = names_asked(self.wanted)

    def at(self, kept: Mapping[str, Any]) -> Program | None:
        """It, given the values of a trace; None if the trace has not all of them."""
        if not all(name in kept for name in self.names):
            return None
        values = {
            p: kept[w] if isinstance(w, str) else {n: kept[n] for n in w}
            for p, w in self.wanted.items()
        }
        return Program.of(self.machine, {**self.data, **values})


class Replaying:
    """A source of randomness that gives the values of sites; a choice of none of them ends the run,
    and is `missing`. `log_density` is that of what was given."""

    def __init__(self, given: Sites):
        self.given = given
        self.sites: dict[int, Site] = {}
        self.log_density, self.missing = 0.0, False

    def begin(self, state: State) -> Draw:
        given, sites = self.given, self.sites

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            old = given.get(path)
            if old is None:
                self.missing = True
                raise Dead
            sites[path] = site = Site(old.value, family, args)
            self.log_density += site.log_prob(old.value)
            if self.log_density == NEVER:
                raise Dead
            return old.value

        return draw

    def mark(self) -> Any:
        return len(self.sites), self.log_density

    def restore(self, mark: Any) -> None:
        size, self.log_density = mark
        while len(self.sites) > size:
            self.sites.popitem()


class Proposed:
    """A source of randomness for one run: what was `proposed`, else the values of `given`, else
    `fresh` ones.

    After the run, `log_ratio` is Σ log p'(u) over what was proposed and Σ log p'(v) - log p(v) over
    what was kept, and `kept` has the paths of the latter.
    """

    def __init__(self, given: Sites, proposed: Sites, fresh: Omega):
        self.given, self.proposed, self.fresh = given, proposed, fresh
        self.sites: dict[int, Site] = {}
        self.log_ratio = 0.0

    def begin(self, state: State) -> Draw:
        given, proposed, sites = self.given, self.proposed, self.sites
        new = self.fresh.begin(state)

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            if path in sites:
                raise named_twice(family)
            old = proposed.get(path)
            if old is not None:
                before = 0.0
            else:
                old = given.get(path)
                if old is None or not alike(old, family, args):
                    value = new(path, family, args)
                    sites[path] = Site(value, family, args)
                    return value
                before = old.log_prob(old.value)
            sites[path] = site = Site(old.value, family, args)
            here = site.log_prob(old.value)
            if here == NEVER:
                raise Dead
            self.log_ratio += here - before
            return old.value

        return draw

    def mark(self) -> Any:
        return len(self.sites), self.log_ratio, self.fresh.mark()

    def restore(self, mark: Any) -> None:
        size, self.log_ratio, fresh = mark
        while len(self.sites) > size:
            self.sites.popitem()
        self.fresh.restore(fresh)


def propose(program: Program, helper: Helper, trace: Trace, turns: Turns) -> Trace:
    """One step: the next trace, `trace` itself if the move is rejected.

    Raises:
        DiagnosticError: E866, the proposal scores, or draws what is no site of the program.
    """
    here = helper.at(program.again(trace, MachineKey(0)).kept)
    if here is None:
        return trace
    drawn = first_trace(here.run, turns.next())
    if not drawn.execution.alive:
        return trace
    _check_unscored(helper, drawn)
    source = turns.next()
    way = Proposed(trace.sites, drawn.sites, source)
    execution = program.run(way)
    if not execution.alive:
        return trace
    after = Trace(execution, way.sites)
    if not drawn.sites.keys() <= after.sites.keys():
        _check_sites(helper, here, drawn, program)
        return trace
    there = helper.at(program.again(after, MachineKey(0)).kept)
    if there is None:
        return trace
    back = Replaying(trace.sites)
    if not there.run(back).alive:
        return trace
    u, r = drawn.sites.keys(), back.sites.keys()
    if u & trace.sites.keys() != r & after.sites.keys():
        return trace
    log_ratio = (
        after.log_weight - trace.log_weight + way.log_ratio + back.log_density
        - sum(trace.sites[k].log_prob(trace.sites[k].value) for k in r)
        - sum(site.log_prob(site.value) for site in drawn.sites.values())
    )  # fmt: skip
    return after if log_ratio > NEVER and accepts(log_ratio, source) else trace


def _check_unscored(helper: Helper, drawn: Trace) -> None:
    if drawn.log_weight != 0:
        raise fail(
            "E866",
            f"the proposal `{helper.name}` scores, so that the density of its draws is not known",
            hint="let it draw only: no observe, factor or condition",
        )


def _check_sites(helper: Helper, here: Program, drawn: Trace, program: Program) -> None:
    """Raise E866 if a site that was drawn can be none of the program."""
    known = binders(program.ir)
    for path in map(here.known(drawn).__getitem__, drawn.sites):
        if any(isinstance(step, str) and step not in known for step in path):
            raise fail(
                "E866",
                f"`{helper.name}` draws `{_spelt(path)}`, which is no site of the program",
                hint="name its sites as those that they are to replace; what helps to draw them "
                "belongs into an involution",
            )


def _spelt(path: Path) -> str:
    return "/".join(step for step in path if isinstance(step, str))
