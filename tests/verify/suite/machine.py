"""What runs on the machine, as subjects of checks."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from ppl import kernels
from ppl.inference import moving, tempering
from ppl.inference.backward import BackwardSimulation
from ppl.inference.collapse import collapse
from ppl.inference.expanding import begin, choose, expand
from ppl.inference.guided import spawn_guided, step_guided
from ppl.inference.kernels.algebra import Kernel as Description
from ppl.inference.kernels.machine.conditional import Sweep
from ppl.inference.kernels.machine.marginal import Marginal
from ppl.inference.kernels.machine.program import Program, Rest, Selection
from ppl.inference.kernels.machine.resuming import Resumable
from ppl.inference.kernels.machine.steps import Tally, step_of
from ppl.inference.kernels.machine.traces import Turns, first_trace
from ppl.inference.kernels.machine.walk import Tuning
from ppl.inference.marginal import marginal
from ppl.inference.optimal import Optimal
from ppl.inference.population import Population
from ppl.inference.resample import Resample, SchemeName
from ppl.inference.resample_move import ResampleMove, Rmsmc
from ppl.inference.smc import Smc, advance, resample, spawn
from ppl.inference.smc2 import Rejuvenation, Smc2, Smc2Steps, one_of
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Source
from ppl.semantics.machine import MachineKey, enumerate_paths
from ppl.semantics.passes.core import Pass
from ppl.verify import (
    Enumeration,
    Kernel,
    Largest,
    Resampler,
    Rewrite,
    Sampler,
    Sequential,
    uniform,
)
from ppl.verify.runnable import Runnable, canonical, compiled
from tests.oracles import rational
from tests.oracles.compare import plain

#: which of the programs of the same text proposes
GUIDE = 1_000


def rewriting(pass_: Pass) -> Callable[[Any], Rewrite]:
    """A pass, which is run once for all programs of a text."""
    return lambda program: Rewrite(lru_cache(maxsize=1)(pass_.run))


def importance(program: Any) -> Sampler:
    """One run forward, weighted by its scores."""
    return Sampler(lambda model, omega: model.run(omega))


def smc(program: Any, scheme: SchemeName, threshold: float) -> Largest:
    """From suspension point to suspension point, resampled by a scheme at a threshold."""
    policy = Resample(scheme, threshold)

    def step(particles: Any, omega: Any, t: int) -> Any:
        moved = advance(particles, omega, t)
        return resample(moved, policy, omega, t) if moved.waiting else moved

    return Largest(lambda n: Sequential(lambda model: spawn(model.start(), n), step), sizes=(2, 3))


def expanded(program: Any) -> Largest:
    """Every finite choice with each of its values, of which n are left by optimal resampling."""

    def make(n: int) -> Sequential:
        def step(particles: Any, omega: Any, t: int) -> Any:
            return choose(*expand(particles, n, omega, t), n, omega, t)

        return Sequential(lambda model: begin(model.start()), step)

    return Largest(make, sizes=(2, 3))


def collapsed(program: Any) -> Largest:
    """Particles at their ends, their mass pushed out of them, as one particle, and the mass."""

    def make(n: int) -> Sampler:
        def run(model: Runnable, omega: Any) -> Any:
            at, t = spawn(model.start(), n), 0
            while at.waiting:
                at, t = advance(at, omega, t), t + 1
            mass, rest = at.population.push_evidence()
            one = collapse(replace(at, population=rest), omega)
            return one.runs[0], float(mass) + one.log_evidence

        return Sampler(run)

    return Largest(make, sizes=(2, 3))


#: temperatures between the prior and the program
LADDER = (0.0, 0.4, 1.0)


def tempered(program: Any, threshold: float) -> Largest:
    """Particles of the prior, tempered, resampled, and moved at the temperature in between."""
    policy = Resample("systematic", threshold)

    @lru_cache(maxsize=1)
    def steps(model: Runnable) -> Any:
        named = Program(model.machine, model.data, model.run, model.run, named=True)
        moves = {s: tempering.tempered(named, s) for s in LADDER[1:-1]}
        return named, {s: (step_of(kernels.gibbs(), own), seen) for s, (own, seen) in moves.items()}

    def run(model: Runnable, omega: Any, n: int) -> Any:
        named, moves = steps(model)
        at = tempering.forward(named, n, omega)
        for k, (t, s) in enumerate(pairwise(LADDER)):
            at = tempering.temper(at, t, s)
            if s < 1:
                at = moving.resample(at, policy, omega, k)
                step, seen = moves[s]
                at = moving.move(at, step, 1, omega, k, seen)
        return list(zip(at.runs, at.population.log_weights.tolist(), strict=True))

    return Largest(lambda n: Sampler(partial(run, n=n)), sizes=(1, 2))


def scheme(name: SchemeName) -> Callable[..., Resampler]:
    """A resampling scheme by itself, on weights that a program's traces have."""

    def make(program: Any) -> Resampler:
        def run(log_weights: Any, omega: Any) -> Any:
            def uniforms(n: int, edges: Any, where: Any) -> Any:
                rows = np.asarray(edges())
                return np.array([uniform(omega, ("u", k), rows[k].tolist()) for k in range(n)])

            population = Population(np.asarray(log_weights))
            ancestors, after = Resample(name, 1.0)(population, uniforms)
            return ancestors, after.log_weights

        return Resampler(run, particles=3)

    return make


def optimal(program: Any) -> Resampler:
    """Three particles of five, some of them kept as they are."""

    def run(log_weights: Any, omega: Any) -> Any:
        def uniforms(n: int, edges: Any, where: Any) -> Any:
            return np.array([uniform(omega, "u", np.asarray(edges())[0].tolist())])

        ancestors, after = Optimal(3)(Population(np.asarray(log_weights)), uniforms)
        return ancestors, after.log_weights

    return Resampler(run, particles=5)


def kernel(description: Description) -> Callable[..., Kernel]:
    """A kernel of the algebra, on traces."""

    def make(program: Any) -> Kernel:
        @lru_cache(maxsize=1)
        def program_of(model: Runnable) -> Program:
            run = Resumable.of(model.machine, model.data)
            return Program(model.machine, model.data, run, model.run, named=True)

        @lru_cache(maxsize=1)
        def steps(model: Runnable) -> Any:
            return step_of(description, program_of(model))

        def named(model: Any, trace: Any) -> Any:
            if not trace.execution.alive:
                return trace
            return trace._replace(execution=program_of(model).again(trace, MachineKey(0)))

        def step(model: Any, trace: Any, omega: Any) -> Any:
            return named(model, steps(model)(trace, Turns(omega), Tally()))

        return Kernel(step, lambda m, omega: named(m, first_trace(program_of(m).run, omega)))

    return make


def guided(program: Any, threshold: float) -> Largest:
    """Proposed by the same program with other probabilities, whose scores look ahead."""
    policy = Resample("systematic", threshold)
    guide = Runnable.of(program.again(GUIDE)).start()

    def make(n: int) -> Sequential:
        return Sequential(
            lambda model: spawn_guided(model.start(), guide, n),
            lambda at, omega, t: step_guided(at, policy, omega, t),
        )

    return Largest(make, sizes=(2, 3))


def pmmh(program: Any, threshold: float) -> Kernel:
    """A step of the first choice, by estimates of a filter that draws all others."""

    @lru_cache(maxsize=1)
    def steps(model: Runnable) -> Any:
        name, _ = first_choice(model)
        run = Program(model.machine, model.data, model.run, model.run, named=True)
        sweep = Sweep(run, Rest(run, [name]), 2, False, threshold)
        policy = Resample("multinomial", threshold, sweep.due)
        return Marginal(sweep, Selection(run, [name]), Tuning(0.0), policy, refresh=True)

    return Kernel(
        lambda model, trace, omega: steps(model)(trace, Turns(omega)),
        lambda model, omega: first_trace(model.run, omega),
    )


def trajectories(program: Any, threshold: float) -> Largest:
    """One trajectory drawn backwards through the populations of a filter."""

    def make(n: int) -> Sampler:
        settings = Smc(particles=n, threshold=threshold, trajectories=1)

        @lru_cache(maxsize=1)
        def simulation(model: Runnable) -> BackwardSimulation:
            named = Program(model.machine, model.data, model.run, model.run, named=True)
            return BackwardSimulation(named, settings)

        def run(model: Runnable, omega: Any) -> Any:
            backward = simulation(model)
            stages = backward.filter(omega)
            (drawn,) = backward.trajectories(stages, 1, omega)
            return drawn.run, float(stages[-1].population.log_mass)

        return Sampler(run)

    return Largest(make, sizes=(2, 3))


#: after the first point all move
REJUVENATED = {1: Rejuvenation(Tuning(0.0), 2)}


def smc2(program: Any) -> Sampler:
    """The first choice is the parameter, of which there is one particle (each moves by itself); all
    others are those of its filter."""

    @lru_cache(maxsize=1)
    def steps_of(model: Runnable) -> Smc2Steps:
        name, _ = first_choice(model)
        settings = Smc2(parameters=name, particles=1, states=2, moves=1)
        named = Program(model.machine, model.data, model.run, model.run, named=True)
        return Smc2Steps(named, settings, Turns(MachineKey(0)))

    def run(model: Runnable, omega: Any) -> Any:
        steps = copy(steps_of(model))
        object.__setattr__(steps, "turns", Turns(omega))
        at = steps.begin()
        while at.waits:
            at = steps.step(at, REJUVENATED)
        (only,) = at.filters
        return one_of(only, steps.turns.next()).run, float(at.population.log_mass)

    return Sampler(run)


def proposal(program: Any) -> Kernel:
    """Proposed by the same program with other probabilities and without its scores, which are lines
    of their own."""
    return kernel(proposed(program))(program)


def proposed(program: Any) -> Any:
    other = program.again(GUIDE)
    source = re.sub(r"^  (factor|observe) .*\n", "", program.source, flags=re.MULTILINE)
    return kernels.proposal(compiled(source)[program.model], **other.data)


def involution(program: Any) -> Kernel:
    """The first choice reflected, where the others can stay as they are."""
    model = Runnable.of(program)
    name, values = first_choice(model)
    top = max(values)
    paths = enumerate_paths(model.machine, model.target.sampler.plain)
    known = {canonical(path.execution.sites) for path in paths}

    def reflected(values: Any, auxiliary: Any) -> Any:
        old = values[name]
        after = {**values, name: not old if isinstance(old, bool) else top - old}
        return (after, auxiliary) if canonical(after) in known else None

    return kernel(kernels.involution(reflected))(program)


def rmsmc(program: Any, threshold: float) -> Largest:
    """Resampled, and every particle moved by a Gibbs kernel on the prefix that it has run."""

    def make(n: int) -> Sequential:
        settings = Rmsmc(particles=n, threshold=threshold, kernel=kernels.gibbs())
        made: list[ResampleMove] = []

        def begin(model: Runnable) -> Any:
            run = Program(model.machine, model.data, model.run, model.run, named=True)
            made[:] = [ResampleMove(run, settings)]
            return made[0].spawn()

        return Sequential(begin, lambda at, omega, t: made[0].step(at, omega, t))

    return Largest(make, sizes=(1, 2))


def paths(program: Any) -> Enumeration:
    """Every path, in floating point: what `exact` does on the machine."""

    def run(model: Runnable) -> Any:
        out: dict[Any, float] = defaultdict(float)
        for path in enumerate_paths(model.machine, model.target.sampler.plain):
            out[canonical(path.execution.result)] += path.weight
        return out

    return Enumeration(run)


def part(program: Any) -> Enumeration:
    """The result, which is a part of what the paths are of."""

    def run(model: Runnable) -> Any:
        found = enumerate_paths(model.machine, model.target.sampler.plain)
        results = [canonical(p.execution.result) for p in found]
        where, masses = marginal(results, np.log([p.weight for p in found]))
        return {results[k]: math.exp(mass) for k, mass in zip(where, masses, strict=True)}

    return Enumeration(run)


def oracle(program: Any) -> Enumeration:
    """An interpreter of the syntax, in rational arithmetic, that shares no code with the engines:
    the law that all else is compared with."""

    def run(model: Runnable) -> Any:
        module = parse(Source("generated.ppl", model.source))
        values = {k: np.asarray(v).tolist() for k, v in model.target.values.items()}
        law = rational.law(module, model.target.model.name, values)
        out: dict[Any, float] = defaultdict(float)
        for result, mass in law.results.items():
            out[plain(result)] += float(mass)
        return out

    return Enumeration(run)


def given(program: Any) -> Enumeration:
    """Conditioning on each value of the first choice: together, they are the measure."""

    def run(model: Runnable) -> Any:
        target, out = model.target, defaultdict(float)
        name, values = first_choice(model)
        for value in values:
            seen = target.given({name: value})
            for path in enumerate_paths(seen.machine, seen.plain):
                out[canonical(path.execution.result)] += path.weight
        return out

    return Enumeration(run)


def do(program: Any) -> Enumeration:
    """Interventions on the first choice, each in proportion to its probability. What is drawn
    first depends on nothing, so that this is the measure, too."""

    def run(model: Runnable) -> Any:
        target, out = model.target, defaultdict(float)
        name, values = first_choice(model)
        for value, probability in values.items():
            changed = target.do({name: value})
            for path in enumerate_paths(changed.machine, changed.plain):
                out[canonical(path.execution.result)] += probability * path.weight
        return out

    return Enumeration(run)


def first_choice(model: Runnable) -> tuple[str, dict[Any, float]]:
    """The name of the choice that is made first, and the probabilities of its values."""
    prior: dict[Any, float] = defaultdict(float)
    name = ""
    for path in enumerate_paths(model.machine, model.target.sampler.plain):
        execution = path.execution
        name = next(iter(execution.sites))
        prior[execution.sites[name]] += path.weight / math.exp(execution.log_weight)
    return name, dict(prior)
