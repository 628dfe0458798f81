"""What runs on XLA, as subjects of checks: the production code, compiled, on tapes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ppl
from ppl import kernels
from ppl.inference.exact import enumerate_paths
from ppl.inference.kernels.algebra import Kernel as Description
from ppl.inference.kernels.particle import ParticleGibbs
from ppl.inference.kernels.xla.compose import compose
from ppl.inference.kernels.xla.move import Target
from ppl.inference.kernels.xla.particle_gibbs import sweep
from ppl.inference.moving_particles import mover_of
from ppl.inference.particles import compiled_policy
from ppl.inference.population import Population
from ppl.inference.resample import Resample, SchemeName
from ppl.inference.weighted import Exact
from ppl.semantics import distributions as D
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import Arr, close_event
from ppl.semantics.xla.elimination import draw_back, eliminate
from ppl.semantics.xla.mixed import mixed_density
from ppl.semantics.xla.moving import run_moving
from ppl.semantics.xla.program import ALL, CENTRED, particles
from ppl.semantics.xla.sites import Chosen
from ppl.semantics.xla.state import total
from ppl.semantics.xla.summing import Summing
from ppl.verify import Compiled, Enumeration, Largest
from ppl.verify.columns import RESULT, Columns, identified
from ppl.verify.compiled import Lanes, Runs, values_of
from ppl.verify.runnable import Runnable
from ppl.verify.sizes import planned
from tests.verify.suite import machine

COINS = ppl.compile("model coins() { c ~ bernoulli(0.3); d ~ categorical([0.2, 0.5, 0.3]) }")
#: paths that are run with three particles
FEW = 4_000


def importance(program: Any) -> Compiled:
    """Two runs forward in a batch."""
    return Compiled(lambda model, omega: model.forward(omega, 2))


def few(program: Any, twin: Largest, most: int = FEW) -> int:
    """Three particles, if the machine, which has the same paths, would do with few enough; else
    two."""
    return 3 if planned(twin.make(3), Runnable.of(program)) <= most else 2


def smc(program: Any, scheme: SchemeName, threshold: float) -> Compiled:
    """The policy at every suspension point, as the evaluator calls it."""
    policy = compiled_policy(Resample(scheme, threshold))
    n = few(program, machine.smc(program, scheme, threshold))
    return Compiled(lambda model, omega: model.sequential(omega, n, policy))


def forward_filter(program: Any, threshold: float) -> Compiled:
    """Without history: what is left of a loop is its last state, so that results are compared."""
    policy = compiled_policy(Resample("systematic", threshold))
    n = few(program, machine.smc(program, "systematic", threshold))

    def run(model: Lanes, omega: Any) -> Runs:
        runs = model.sequential(omega, n, policy, history=False)
        results = {k: v for k, v in runs.values.items() if k.startswith(RESULT)}
        return Runs(runs.omega, results, runs.log_weights)

    return Compiled(run)


def guided(program: Any, threshold: float) -> Compiled:
    """Proposed by the same program with other probabilities, whose scores look ahead."""
    policy = compiled_policy(Resample("systematic", threshold))
    guide = Runnable.of(program.again(machine.GUIDE)).target.sampler
    n = few(program, machine.guided(program, threshold))

    def run(model: Lanes, omega: Any) -> Runs:
        return model.sequential(omega, n, policy, guide=(guide.bound, guide.data))

    return Compiled(run)


def rmsmc(program: Any, kernel: Description, threshold: float) -> Compiled:
    """Two particles, resampled and moved on the prefixes that they have run."""
    policy = compiled_policy(Resample("systematic", threshold))

    def run(model: Lanes, omega: Any) -> Runs:
        mover = mover_of(kernel, 1, model.data)
        axis = particles(2)
        result, state = run_moving(model.bound, model.data, omega, axis, policy, mover)
        return Runs(state.omega, values_of(result, state, 2), state.extra.log_weights)

    return Compiled(run)


def pmmh(program: Any) -> Compiled:
    """The filter of a proposed parameter, the first choice, and the particle drawn from it: at every
    value an unbiased estimate of the measure of all else, which is what is accepted or not."""
    policy = compiled_policy(Resample("systematic", 0.9))
    states = few(program, machine.smc(program, "systematic", 0.9), FEW // 4)

    def run(model: Lanes, omega: Any) -> Runs:
        density = mixed_density(model.bound, model.data, None)
        first, *rest = density.discrete
        options, n = first.options or 0, math.prod(first.shape)
        law = D.make("categorical", (jnp.full(options, 1 / options),)).expand((n,))
        omega, value = omega.draw(("", "parameter"), law, (n,))
        k = jnp.zeros(sum(math.prod(s.shape) for s in density.discrete), int).at[:n].set(value)
        target, drawn = Target(density, model.data), frozenset(s.path for s in rest)
        omega, point, log_weights = sweep(
            target, jnp.zeros(0), k, drawn, states, policy, omega, ("", "pmmh"),
            retained=False,
        )  # fmt: skip
        values = {name: v[None] for name, v in density.unflatten_discrete(point.k).items()}
        mass = Population(log_weights).log_mass + n * math.log(options)
        return Runs(omega, values, jnp.reshape(mass, (1,)))

    return Compiled(run)


def paths(program: Any) -> Enumeration:
    """Every path of the compiled program, equal executions merged: what `exact` does."""
    names: list[str] = []

    def observe(result: Any, state: Any) -> Any:
        found = values_of(result, state, 1)
        names[:] = found
        return [Arr(x[0]) for x in found.values()]

    def run(model: Runnable) -> Any:
        target = model.target
        executions = model.law(10_000).executions
        with precision():
            found = enumerate_paths(target.bound, target.data, Exact(), observe=observe)
        columns = Columns({k: v.event_shape for k, v in zip(names, found.values, strict=True)})
        n = len(found.log_weights)
        rows = [np.asarray(v.data).reshape(n, -1) for v in found.values]
        table = np.concatenate(rows, axis=1).astype(float)
        known = identified(table, columns, executions)
        return [
            (executions.get(k, k), float(w)) for k, w in zip(known, found.log_weights, strict=True)
        ]

    return Enumeration(run)


def sums(program: Any) -> Compiled:
    """All sites summed out, and drawn back from their exact joint law: one run of the whole mass."""

    def run(model: Lanes, omega: Any) -> Runs:
        bound, data = model.bound, model.data
        _, state = bound.execute(data, rule=Summing(CENTRED))
        scores, steps = eliminate(state.scores, state.extra.chains)
        log_evidence = total(scores, ()).data
        omega, at = draw_back(steps, omega, ())
        given = {}
        for name, axis in state.extra.sites:
            chosen = at[axis]
            for plate in reversed(axis.plates):
                chosen = close_event(chosen, plate)
            given[name] = chosen
        result, state = bound.execute(
            data, rule=Chosen(CENTRED), omega=omega, given=given, record=ALL
        )
        return Runs(state.omega, values_of(result, state, 1), jnp.reshape(log_evidence, (1,)))

    return Compiled(run)


def kernel(description: Description) -> Callable[[Any], Compiled]:
    """One step from a draw of the posterior, over every state of the discrete choices."""

    def run(model: Lanes, omega: Any) -> Runs:
        density = mixed_density(model.bound, model.data, None)
        sizes = [range(s.options or 0) for s in density.discrete for _ in range(math.prod(s.shape))]
        states = jnp.asarray(list(itertools.product(*sizes)))
        target = Target(density, model.data)
        logs = jax.vmap(lambda k: target.log_density(jnp.zeros(0), k))(states)
        law = D.make("categorical", (jax.nn.softmax(logs),))
        omega, start = omega.draw(("", "start"), law, ())
        point = target.point(jnp.zeros(0), states[start])
        move = compose(description, density, 0)
        done = move.step(target, point, move.begin(target, point), omega, False)
        values = {k: v[None] for k, v in density.unflatten_discrete(done.point.k).items()}
        return Runs(done.omega, values, jnp.zeros(1))

    return lambda program: Compiled(run)


def proposal(program: Any) -> Compiled:
    """Proposed by the same program with other probabilities."""
    return kernel(machine.proposed(program))(program)


def involution(program: Any) -> Compiled:
    """All flags turned round where a coin says so, or numbers of the first choice reflected up to
    one that is drawn."""

    def turned(x: Any, u: Any) -> Any:
        flags = {k: jnp.where(u["c"], ~v, v) for k, v in x.items() if v.dtype == bool}
        first = next(iter(x))
        if first in flags:
            return {**x, **flags}, u
        return {**x, **flags, first: jnp.where(x[first] <= u["d"], u["d"] - x[first], x[first])}, u

    return kernel(kernels.involution(turned, COINS.coins))(program)


def particle_gibbs(program: Any) -> Compiled:
    """Conditional SMC of all choices; beside the retained particle, one or two others."""
    n = few(program, machine.smc(program, "multinomial", 1.0), FEW // 4)
    return kernel(ParticleGibbs(particles=n))(program)
