"""The methods that the machine has, each as executions with weights.

Executions are first run without recording names, which costs as much as the rest of a run. What is
drawn depends on keys and paths alone, so an execution is run again, recording, when its names are
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.checkpoints import folder_of
from ppl.methods import name_of, settings_of
from ppl.progress import progress_bar
from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.machine import Execution, MachineKey, enumerate_paths
from ppl.semantics.machine.omega import slots_of
from ppl.semantics.machine.rows import stands_at_end, with_rows
from ppl.semantics.passes.resumable import resumable
from ppl.target import Target

if TYPE_CHECKING:
    from ppl.inference.folder import Folder
    from ppl.inference.journal import Journal
    from ppl.inference.mcmc import Chain
    from ppl.semantics.machine import Machine
    from ppl.semantics.machine.machine import Arguments
    from ppl.semantics.machine.pickles import Pickles

#: methods that go on where they were
RESUMED = ("importance", "smc", "mcmc", "pgibbs", "pmmh", "rmsmc", "smc2")
#: methods that the machine has
METHODS = ("exact", *RESUMED)
#: kinds of moves whose acceptance is told one by one
NAMED_MOVES = 50


@dataclass(frozen=True, eq=False)
class Runs:
    """Executions (chain after chain), and the log of each one's mass: together a measure, of this
    evidence if that is known. again(i): execution i once more, with its names recorded. waiting:
    where they can go on with more data."""

    executions: Sequence[Execution]
    log_weights: np.ndarray
    again: Callable[[int], Execution]
    evidence: float | None = None
    evidence_se: float | None = None
    exact: bool = False
    chains: int = 1
    stats: Mapping[str, np.ndarray] = field(default_factory=dict)
    waiting: Waiting | None = None
    #: what particles did at their points (see `Posterior.points`)
    points: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def named(self) -> Sequence[Execution]:
        """The executions, with names."""
        return [self.again(i) for i in range(len(self.executions))]


class Stopped(KeyboardInterrupt):
    """The user stopped a method. runs: what there is; made: how much of what was asked for."""

    def __init__(self, runs: Runs, made: str):
        self.runs, self.made = runs, made
        super().__init__("stopped by the user")


def runs(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Path | None = None
) -> Runs:
    """Executions of a program by one of METHODS; with a `checkpoint` they go on where they were
    when an earlier process was killed.

    Raises:
        DiagnosticError: E898, the checkpoint is of another run, or the method has none.
    """
    name = name_of(method)
    run = {
        "importance": _importance,
        "exact": _exact,
        "smc": _smc,
        "mcmc": _mcmc,
        "pgibbs": _mcmc,
        "pmmh": _mcmc,
        "rmsmc": _rmsmc,
        "smc2": _smc2,
    }
    target = target if name == "exact" else target.sampler
    if checkpoint is None:
        return run[name](method, target, seed, progress)
    if name not in RESUMED:
        raise fail(
            "E898",
            f"`{name}` has no checkpoints on the machine",
            hint=f"there {', '.join(RESUMED)} have",
        )
    from ppl.semantics.machine.pickles import Pickles

    about = {"model": target.name, "method": name, "settings": settings_of(method), "seed": seed}
    beside = [_helper(method, target)] if getattr(method, "guide", None) is not None else []
    pickles = Pickles(target.machine, target.machine.bind(target.plain), *beside)
    held = Resumed(folder_of(checkpoint, about, target, method).begin(), pickles)
    return run[name](method, target, seed, progress, held)


@dataclass(frozen=True, eq=False)
class Resumed:
    """Where runs are written down."""

    folder: Folder
    pickles: Pickles

    def journal(self, name: str) -> Journal:
        from ppl.inference.journal import Journal

        return Journal.of(self.folder, self.pickles, name)


def watched(report: Any) -> Any:
    """What tells a bar, if there is one, how particles are."""
    if report is None:
        return None
    from ppl.inference.ancestry import shown

    def at(done: int, n: int, step: int, told: Any) -> None:
        if done % 100 == 0 or done == n:
            report(done, n, {"step": step, **shown(told, n)})

    return at


def _data(target: Target, held: Resumed | None) -> Any:
    """A target's data; those that are in what is written down are the same objects."""
    return target.plain if held is None else held.pickles.data


def _importance(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    if method.rounds:
        raise fail(
            "E811",
            f"rounds = {method.rounds}: proposals are fitted on XLA only",
            hint="leave it out, or use `smc`",
        )
    machine, n = target.machine, method.particles
    data = machine.bind(_data(target, held))
    run, journal = machine.runner(data, record=False, keyed=True), held and held.journal("runs")
    executions: list[Execution] = journal.made if journal else []
    record, first = machine.untimed.runner(data), len(executions)

    def so_far() -> Runs:
        weights = np.array([e.log_weight for e in executions])
        evidence, se = evidence_of(weights)
        return Runs(executions, weights, lambda i: record(MachineKey(seed, 0, i)), evidence, se)

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


def evidence_of(log_weights: np.ndarray) -> tuple[float, float]:
    """log of the mean weight, and its standard error by the delta method."""
    top = log_weights.max()
    if not np.isfinite(top):
        return float(top), float("nan")
    w = np.exp(log_weights - top)
    return float(top + np.log(w.mean())), float(w.std() / w.mean() / np.sqrt(len(w)))


def _exact(method: Any, target: Target, seed: int, progress: bool) -> Runs:
    paths = enumerate_paths(target.machine, target.plain, limit=method.paths)
    if not paths:
        raise fail(
            "E895",
            "every execution has weight zero, so that there is no posterior",
            hint="no execution agrees with the observations: look at the model's supports and data",
        )
    weights = np.array([p.execution.log_weight + np.log(p.probability) for p in paths])
    if (weights == np.inf).any():
        raise fail(
            "E895",
            "an execution has infinite weight, so that there is no posterior",
            hint="look at each `factor`: its value is finite, or -infinity for what is impossible",
        )
    executions = [p.execution for p in paths]
    total = float(np.logaddexp.reduce(weights))
    return Runs(executions, weights, executions.__getitem__, total, 0.0, exact=True)


def _smc(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.smc import spawn

    if method.guide is not None:
        return _guided(method, target, seed, progress, held)
    if method.trajectories is not None:
        return _backward(method, target, seed, progress, held)
    machine = target.machine
    data = machine.bind(_data(target, held))
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


def _backward(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.backward import BackwardSimulation
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.population import Population

    key, program = MachineKey(seed), Program.of(target.machine, _data(target, held))
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
    return _weighted(program, drawn, level, key, stages[-1].told)


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


def _rmsmc(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.resample_move import run_moving

    key, program = MachineKey(seed), Program.of(target.machine, _data(target, held))
    with progress_bar(None if progress else False, title="particles") as report:
        journal = held and held.journal("runs")
        found = run_moving(program, method, key, journal=journal, progress=watched(report))
    traces = [p.trace() for p in found.particles]
    return _weighted(program, traces, found.population, key, found.told)


def _smc2(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.smc2 import run_smc2

    key, program = MachineKey(seed), Program.of(target.machine, _data(target, held))
    with progress_bar(None if progress else False, title="parameters") as report:
        journal = held and held.journal("runs")
        found, filters = run_smc2(program, method, key, journal=journal, progress=watched(report))
    return _weighted(program, [p.trace() for p in found], filters.population, key, filters.told)


def _helper(method: Any, target: Target) -> tuple[Machine, Arguments]:
    """What runs a guide, within the target's limits, and the guide's data."""
    guide = method.guide.sampler
    helper = guide.machine.under(target.budget)
    return helper, helper.bind(guide.plain)


def _guided(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.guided import run_guided
    from ppl.inference.kernels.machine.program import Program

    key, program = MachineKey(seed), Program.of(target.machine, _data(target, held))
    helper, data = held.pickles.others[0] if held else _helper(method, target)
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
    return _weighted(program, traces, found.population, key, found.told)


def _weighted(
    program: Any, traces: Sequence[Any], population: Any, key: MachineKey, told: Any
) -> Runs:
    """Particles that have ended, and what was told of their points."""
    from ppl.inference.ancestry import history

    return Runs(
        [t.execution for t in traces],
        np.asarray(population.log_weights) + np.log(len(traces)),
        lambda i: program.again(traces[i], key),
        float(population.log_mass),
        points=history(told),
    )


def _mcmc(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.mcmc import Interrupted, rectangle, run_chain

    key, program = MachineKey(seed), Program.of(target.machine, _data(target, held))
    chains: list[Chain] = []

    def made(chains: Sequence[Chain]) -> Runs:
        traces = [t for chain in chains for t in chain.traces]
        return Runs(
            [t.execution for t in traces],
            np.zeros(len(traces)),
            lambda i: program.again(traces[i], key),
            chains=len(chains),
            stats=_acceptance(chains),
        )

    with progress_bar(None if progress else False, title="sampling") as report:

        def at(done: int, steps: int, chain: int, kept: Sequence[Any]) -> None:
            if report is not None and done % 100 == 0:
                told = {"chain": chain + 1, **_recent(kept)}
                report(chain * steps + done, method.chains * steps, told)

        try:
            for c in range(method.chains):
                watch, journal = None if report is None else at, held and held.journal(f"chain-{c}")
                chains.append(
                    run_chain(
                        program, method.kernel, method, key, c, journal=journal, progress=watch
                    )
                )
        except Interrupted as stop:
            kept = rectangle([*chains, stop.chain])
            if not kept:
                raise
            drawn = f"{len(kept)} x {len(kept[0].traces)} of {method.chains} x {method.draws} draws"
            raise Stopped(made(kept), drawn) from None
    return made(chains)


def _recent(kept: Sequence[Any]) -> dict[str, str]:
    """The share of moves before the last hundred draws that changed something."""
    counts = [c for _, moves in kept[-100:] for c in moves.values()]
    tried, changed = (sum(c[i] for c in counts) for i in (0, 1))
    return {"acceptance": f"{changed / tried:.2f}"} if tried else {}


def _acceptance(chains: Sequence[Chain]) -> dict[str, np.ndarray]:
    """Shares of moves that changed the trace, (chain, draw): of all, and by site or kernel."""
    out = {"acceptance_rate": np.array([c.accepted for c in chains])}
    moves = list(dict.fromkeys(m for c in chains for m in c.moves))[:NAMED_MOVES]
    nothing = np.full(len(chains[0].traces), np.nan)
    kernels = {kernel for kernel, _ in moves}
    for kernel, site in moves if len(moves) > 1 else ():
        name = site if len(kernels) == 1 else f"{kernel} {site}".rstrip()
        rows = [c.moves.get((kernel, site), nothing) for c in chains]
        out[f"acceptance_rate of {name}"] = np.array(rows)
    return out
