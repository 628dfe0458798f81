"""Methods of the machine whose executions are particles with weights: importance, filters and
their kin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.progress import progress_bar
from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.machine import Execution, MachineKey
from ppl.semantics.machine.omega import slots_of
from ppl.semantics.machine.rows import stands_at_end, with_rows
from ppl.semantics.passes.resumable import resumable
from ppl.semantics.weighted import Weighted
from ppl.target import Target
from ppl.weighted_runs import Resumed, Runs, Stopped, data_of, ended, watched

if TYPE_CHECKING:
    from ppl.inference.journal import Journal
    from ppl.semantics.machine import Machine
    from ppl.semantics.machine.machine import Arguments


def by_importance(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    if method.rounds:
        raise fail(
            "E811",
            f"rounds = {method.rounds}: proposals are fitted on XLA only",
            hint="leave it out, or use `smc`",
        )
    machine, n = target.machine, method.particles
    data = machine.bind(data_of(target, held))
    run, journal = machine.runner(data, record=False, keyed=True), held and held.journal("runs")
    executions: list[Execution] = journal.made if journal else []
    record, first = machine.untimed.runner(data), len(executions)

    def so_far() -> Runs:
        weights = np.array([e.log_weight for e in executions])
        found = Weighted(executions, weights)
        about = found.log_evidence, found.log_evidence_se
        return Runs(executions, weights, lambda i: record(MachineKey(seed, 0, i)), *about)

    try:
        with progress_bar(None if progress else False, title="sampling") as report:
            slots = islice(slots_of(MachineKey(seed), 0, n), first, None)
            for i, omega in enumerate(slots, first):
                executions.append(run(omega))
                if (i + 1) % 100 == 0 or i + 1 == n:
                    if report is not None:
                        report(i + 1, n, {})
                    if journal and journal.due(now=i + 1 == n):
                        journal.write(i + 1, executions)
    except KeyboardInterrupt:
        if not executions:
            raise
        raise Stopped(so_far(), f"{len(executions):,} of {n:,} executions") from None
    return so_far()


def by_smc(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.smc import spawn

    if method.guide is not None:
        return _guided(method, target, seed, progress, held)
    if method.scheme == "optimal":
        return _expanding(method, target, seed, progress, held)
    if method.trajectories is not None:
        return _backward(method, target, seed, progress, held)
    machine = target.machine
    data = machine.bind(data_of(target, held))
    journal, begin = held and held.journal("runs"), machine.start(data, record=False, keyed=True)
    place = (spawn(begin, method.particles), None)
    if journal and journal.place is not None:
        place = journal.place
    return _filtered(method, target, data, seed, progress, *place, journal=journal)


def _filtered(
    method: Any,
    target: Target,
    data: Any,
    seed: int,
    progress: bool,
    particles: Any,
    stood: Any = None,
    *,
    journal: Journal | None = None,
) -> Runs:
    """Particles, from where they are to their ends. data: the target's, as the machine has it.
    stood: as they were where they could go on with more data, if they have been there."""
    from ppl.inference.ancestry import history
    from ppl.inference.smc import finish, follow

    machine, key = target.machine, MachineKey(seed)
    loop = loop_over_data(machine.program)
    with progress_bar(None if progress else False, title="particles") as report:
        found, stood = finish(
            particles,
            method,
            key,
            stood=stood,
            stands=lambda run: loop is not None and stands_at_end(run, loop),
            journal=journal,
            progress=watched(report),
        )
    start = machine.untimed.start(data)
    n = len(found.runs)
    return Runs(
        found.runs,  # type: ignore[arg-type]
        np.asarray(found.population.log_weights) + np.log(n),
        lambda i: follow(start, found.lineages[i], key),
        found.log_evidence,
        waiting=None if stood is None else Waiting(method, seed, stood, data),
        points=history(found.told),
    )


def _expanding(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.ancestry import history
    from ppl.inference.expanding import enumerates, run_expanding

    start = target.machine.start(target.machine.bind(data_of(target, held)), record=True)
    with progress_bar(None if progress else False, title="particles") as report:
        found = run_expanding(
            start,
            method.particles,
            MachineKey(seed),
            journal=held and held.journal("runs"),
            progress=watched(report),
        )
    executions, exact = found.runs, enumerates(found)
    scale = 0.0 if exact else np.log(len(executions))
    return Runs(
        executions,  # type: ignore[arg-type]
        np.asarray(found.population.log_weights) + scale,
        executions.__getitem__,  # type: ignore[arg-type]
        found.log_evidence,
        0.0 if exact else None,
        exact,
        points=history(found.told),
    )


def _backward(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.backward import BackwardSimulation
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.population import Population

    key, program = MachineKey(seed), Program.of(target.machine, data_of(target, held))
    backward, n = BackwardSimulation(program, method), method.trajectories
    filtering, drawing = (held and held.journal(name) for name in ("filter", "trajectories"))
    drawn: list[Any] = drawing.made if drawing else []
    with progress_bar(None if progress else False, title="particles") as report:
        stages = backward.filter(key, journal=filtering, progress=watched(report))
        for p in backward.trajectories(stages, n, key, first=len(drawn)):
            drawn.append(p.trace())
            if drawing and drawing.due(now=len(drawn) == n):
                drawing.write(len(drawn), drawn)
    mass = float(stages[-1].population.log_mass)
    level = Population(np.full(n, mass - np.log(n)))
    return ended(program, drawn, level, key, stages[-1].told)


@dataclass(frozen=True, eq=False)
class Waiting:
    """Particles of `smc` where the loop over their `data` has ended, and nothing after it."""

    method: Any
    seed: int
    particles: Any
    data: Any

    def go_on(self, target: Target, *, progress: bool) -> Runs:
        """With the data of a target, of which those so far are the first rows."""
        machine = target.machine
        parts, names = resumable(machine.program), [p.name for p in machine.program.entry.params]
        data = machine.bind(target.plain)
        before, after = (dict(zip(names, d.values, strict=True)) for d in (self.data, data))
        rows = {name: before[name] for name in parts.rows}
        runs = with_rows(self.particles.runs, parts.loop, rows, after)
        particles = replace(self.particles, runs=runs)
        return _filtered(self.method, target, data, self.seed, progress, particles)


def loop_over_data(program: ir.Program) -> ir.Scan | None:
    """The loop of a program that could go on with more data, if it has one."""
    try:
        return resumable(program).loop
    except DiagnosticError:
        return None


def by_rmsmc(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.resample_move import run_moving

    key, program = MachineKey(seed), Program.of(target.machine, data_of(target, held))
    with progress_bar(None if progress else False, title="particles") as report:
        journal = held and held.journal("runs")
        found = run_moving(program, method, key, journal=journal, progress=watched(report))
    traces = [p.trace() for p in found.particles]
    return ended(program, traces, found.population, key, found.told)


def by_smc2(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.smc2 import run_smc2

    key, program = MachineKey(seed), Program.of(target.machine, data_of(target, held))
    with progress_bar(None if progress else False, title="parameters") as report:
        journal = held and held.journal("runs")
        found, filters = run_smc2(program, method, key, journal=journal, progress=watched(report))
    return ended(program, [p.trace() for p in found], filters.population, key, filters.told)


def _guided(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.guided import run_guided
    from ppl.inference.kernels.machine.program import Program

    key, program = MachineKey(seed), Program.of(target.machine, data_of(target, held))
    helper, data = held.pickles.others[0] if held else helper_of(method, target)
    with progress_bar(None if progress else False, title="particles") as report:
        found = run_guided(
            program.start(),
            helper.start(data, record=False),
            method.particles,
            method.policy,
            key,
            journal=held and held.journal("runs"),
            progress=watched(report),
        )
    traces = [p.trace() for p in found.particles]
    return ended(program, traces, found.population, key, found.told)


def helper_of(method: Any, target: Target) -> tuple[Machine, Arguments]:
    """What runs a guide, within the target's limits, and the guide's data."""
    guide = method.guide.sampler
    helper = guide.machine.under(target.budget)
    return helper, helper.bind(guide.plain)
