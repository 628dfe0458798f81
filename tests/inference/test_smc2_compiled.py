"""SMC² in compiled code is properly weighted for whole traces: exactly, by tapes that enumerate the
parameters, every lane's filter, resampling of both kinds, moves, exchanges, and the particle that is
drawn from each filter in the end, where the filter is run once more from its seeds."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl.inference import folder
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.movers import Shape
from ppl.inference.particles import compiled_policy
from ppl.inference.smc2_compiled import lanes_of, run_smc2, sites_of
from ppl.inference.smc2_lanes import Lanes
from ppl.semantics import keys
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.mixed import mixed_density

MODELS = ppl.compile("""
# chance in the states of the second row only, and three parameters
model three(ys: [bool]) {
  c ~ categorical([0.2, 0.5, 0.3])
  observe true ~ bernoulli([0.8, 0.3, 0.55][c])
  xs ~ scan x = c for t in range(len(ys)) {
    x ~ categorical([[0, 1, 0], [0.35, 0, 0.65], [1, 0, 0]][x])
    observe ys[t] ~ bernoulli([0.15, 0.7, 0.2][x])
    return x
  }
  last ~ bernoulli([0, 1, 0.4][xs[0]])
  observe last ~ bernoulli([0.9, 0.25, 0.4][xs[1]])
  return (c, xs, last)
}
model two(ys: [bool]) {
  c ~ bernoulli(0.35)
  xs ~ scan x = 0 for y in ys {
    x ~ categorical(if c { [[0, 1, 0], [0.6, 0, 0.4], [0, 1, 0]][x] }
                    else { [[0, 0.3, 0.7], [0, 1, 0], [0, 1, 0]][x] })
    observe y ~ bernoulli([0.15, 0.7, 0.2][x])
    return x
  }
  return (c, xs)
}
model walk(ys: [real]) {
  m ~ normal(0, 1)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x + m, 0.4); observe y ~ normal(x, 0.5); return x }
  return m
}
model late(ys: [real]) { xs ~ scan x = 0.0 for y in ys { x ~ normal(x, 1); observe y ~ normal(x, 1); return x }; m ~ normal(xs[0], 1); return m }
model entangled(ys: [real]) { z ~ normal(0, 1); m ~ normal(z, 1); fold x = m for y in ys { x ~ normal(x, 1); observe y ~ normal(x, 1); return x } }
model plate(ys: [real]) { m ~ normal(0, 1); for y in ys { observe y ~ normal(m, 1) } }
""")


def law(target, density):
    """The measure of whole traces, by their coordinates."""
    log_density = jax.jit(jax.vmap(density.log_density, in_axes=(None, 0)))
    sizes = [range(s.options or 0) for s in density.discrete for _ in range(math.prod(s.shape))]
    every = np.array(list(itertools.product(*sizes)))
    masses = np.exp(log_density(target.data, density.unflatten_discrete(every)))
    return {tuple(k): float(m) for k, m in zip(every.tolist(), masses, strict=True) if m > 0}


SHAPE = Shape(jnp.zeros((0, 0)))


@dataclass(frozen=True, eq=False)
class Wrong(Lanes):
    """With one of the bugs below, by its number; 0 is none."""

    bug: Any = 0

    def begin(self, data, omega):
        """1: the parameters' density is in their weights, and in their filters' again."""
        omega, f = super().begin(data, omega)
        even = f.masses - math.log(self.particles)
        return omega, f._replace(log_weights=jnp.where(self.bug == 1, even, f.log_weights))

    def enlarged(self, data, f, masses, t, omega):
        """2: a larger filter replaces a smaller one, and the mass that this had is lost."""
        omega, after = super().enlarged(data, f, masses, t, omega)
        kept = jnp.where(self.bug == 2, f.log_weights, after.log_weights)
        return omega, after._replace(log_weights=kept)

    def moved(self, data, f, t, shape, omega):
        """3: what is accepted or not is the mass at the final target, and not at the current one.
        4: the history is that of the filter before. 5: the weights change with the masses."""
        t = jnp.where(self.bug == 3, self.filter.rows, t)
        omega, after, share = super().moved(data, f, t, shape, omega)
        seeds = jnp.where(self.bug == 4, f.seeds, after.seeds)
        level = jnp.where(self.bug == 5, after.masses - f.masses, 0.0)
        level = jnp.where(f.masses > -jnp.inf, level, 0.0)
        return omega, after._replace(seeds=seeds, log_weights=f.log_weights + level), share

    def resampled(self, f, omega, unless=False):
        """6: the seeds stay behind, so that histories are those of others' parameters."""
        omega, after, told = super().resampled(f, omega, unless)
        return omega, after._replace(seeds=jnp.where(self.bug == 6, f.seeds, after.seeds)), told


class Measures:
    """The mean of the weighted draws over all tapes, by coordinates; and what it has to be. All bugs
    are in one compiled program."""

    def __init__(self, target, *, particles, states, threshold, larger=0):
        target = target.sampler
        settings = ppl.smc2(
            parameters="c", particles=particles, states=states, threshold=threshold, moves=1
        )
        with precision(None):
            density = mixed_density(target.bound, target.data, None)
        sites = sites_of(density, settings)

        def lanes(states, bug):
            own = lanes_of(target.bound, target.data, density, sites, settings, states)
            return Wrong(own.filter, own.sites, own.particles, own.policy, own.moves, bug)

        def run(data, tape):
            data, bug = data
            own, t = lanes(states, bug), 0
            tape, f = own.begin(data, tape)
            told = own.untold()
            if larger:
                t = 1
                tape, f, told, *_ = own.advance(data, f, told, 0, t, tape)
                own = lanes(larger, bug)
                tape, f = own.enlarged(data, f, f.masses, t, tape)
                tape, f, _ = own.rejuvenated(data, f, t, SHAPE, tape)
            tape, f, *_ = own.advance(data, f, told, t, len(target.values["ys"]), tape)
            tape, position, log_weights = own.finish(data, f, tape)
            return (jax.vmap(density.flatten_discrete)(position), log_weights), tape

        self._paths = Enumerator(run, length=64, batches=(4096,), quick=True)
        self._target, self._density = target, density

    def found(self, bug=0):
        with precision(None):
            paths = self._paths((self._target.data, bug))
        (draws, log_weights), p = paths.outputs, np.exp(paths.log_probability)
        assert p.sum() == pytest.approx(1, abs=1e-12) and len(p) > 500
        measure = defaultdict(float)
        weights = p[:, None] * np.exp(log_weights)
        for draw, w in zip(
            draws.reshape(-1, draws.shape[-1]).tolist(), weights.ravel(), strict=True
        ):
            measure[tuple(draw)] += w
        return {k: m for k, m in measure.items() if m > 0}

    @cached_property
    def known(self):
        with precision(None):
            return law(self._target, self._density)


def test_parameters_and_histories_are_properly_weighted():
    """Resampled twice, and something read after the loop."""
    measures = Measures(MODELS.three(ys=[False, True, False]), particles=2, states=2, threshold=0.9)
    assert len(measures.known) >= 8
    assert measures.found() == pytest.approx(measures.known, abs=1e-10)
    assert measures.found(bug=6) != pytest.approx(measures.known, rel=1e-3)


def test_moves_and_larger_filters_keep_the_law_and_what_goes_wrong_there_is_found():
    measures = Measures(
        MODELS.two(ys=[False, True]), particles=1, states=1, larger=3, threshold=0.7
    )
    assert len(measures.known) >= 4
    assert measures.found() == pytest.approx(measures.known, abs=1e-10)
    for bug in (1, 2, 3, 4, 5):
        assert measures.found(bug) != pytest.approx(measures.known, rel=1e-3), bug


YS = [0.8, 1.9, 2.2, 3.6]


def closed_form():
    """The log evidence of the walk, and the posterior mean of its parameter."""
    t = np.arange(1, 5)
    cov = 0.16 * np.minimum.outer(t, t) + 0.25 * np.eye(4)
    mean = t @ np.linalg.solve(cov, YS) / (1 + t @ np.linalg.solve(cov, t))
    whole = cov + np.outer(t, t)
    log_det = np.linalg.slogdet(2 * np.pi * whole)[1]
    return -0.5 * (YS @ np.linalg.solve(whole, YS) + log_det), mean


class Killed(Exception):
    pass


def test_a_linear_gaussian_walk_and_runs_that_were_killed(quick_compilation, tmp_path, monkeypatch):
    """Evidence and posterior mean against closed forms: t tests over 40 runs, of |t| beyond 4.5
    (a fixed seed; 1e-4 for both had it been random). A run that is killed at some pieces and goes on
    is the same bit for bit."""
    target = MODELS.walk(ys=YS).sampler
    settings = ppl.smc2(
        parameters="m", particles=24, states=8, threshold=0.9, moves=1, acceptance=0.0
    )
    log_z, mean = closed_form()
    with precision(None):
        density = mixed_density(target.bound, target.data, None)
        run = partial(run_smc2, target.bound, target.data, density, settings)
        ratios, off = [], []
        for seed in range(40):
            found = run(seed=seed)
            w = np.exp(found.log_weights - log_z)
            ratios.append(w.sum() - 1)
            off.append(w @ (found.position["m"] - mean))
        for x in np.array([ratios, off]):
            assert abs(x.mean()) < 4.5 * x.std(ddof=1) / math.sqrt(40)
            assert x.std(ddof=1) < 0.8
        assert found.plan and len(np.unique(found.position["m"])) > 8  # the last has moved
        assert found.points["lineages"].shape == (4,)

        monkeypatch.setattr(folder, "EVERY", 0.0)
        saved, pieces = Checkpoint(tmp_path / "run", {"seed": 39}), 0

        def progress(done, total, told):
            nonlocal pieces
            pieces += 1
            if pieces in (2, 5, 8):
                raise Killed

        for _ in range(3):
            with pytest.raises(Killed):
                run(seed=39, checkpoint=saved, progress=progress)
        again = run(seed=39, checkpoint=saved, progress=progress)
    np.testing.assert_array_equal(again.log_weights, found.log_weights)
    np.testing.assert_array_equal(again.position["xs/x"], found.position["xs/x"])
    assert pieces < 12 and [p.rows for p in again.plan] == [p.rows for p in found.plan]


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("late", "m", "E877.*before the loop"),
        ("entangled", "m", "E877.*depends"),
        ("plate", "m", "E716"),
        ("walk", "mu", "E855"),
        ("walk", "xs", "E877"),
    ],
)
def test_what_it_cannot_do_is_one_error(name, parameters, says):
    target = getattr(MODELS, name)(ys=YS)
    with pytest.raises(DiagnosticError, match=says):
        ppl.infer(target, ppl.smc2(parameters=parameters), engine="xla", progress=False)


def test_values_that_are_set_are_no_coordinates():
    """Neither of parameter particles nor of the filters of `pmmh`: traced, not run."""
    target = MODELS.three(ys=[False, True]).given(last=True).sampler
    settings = ppl.smc2(parameters="c", particles=3, states=2)
    with precision(None):
        density = mixed_density(target.bound, target.data, None)
        own = lanes_of(target.bound, target.data, density, sites_of(density, settings), settings, 2)
        sweep, omega, moved = density.sweep, Key(keys.key(0)), frozenset({"xs/x"})

        assert sweep is not None

        def run(data):
            omega_, f = own.begin(data, omega)
            position, weights = own.finish(data, f, omega_)[1:]
            policy, at = compiled_policy(settings.policy), {"c": 0, "xs/x": jnp.zeros(2, int)}
            return position, sweep(data, at, moved, 4, policy, omega, retained=False)[2]

        position, found = jax.eval_shape(run, target.data)
    assert {k: x.shape for k, x in position.items()} == {"c": (3,), "xs/x": (3, 2)}
    assert {k: x.shape for k, x in found.items()} == {"xs/x": (4, 2)}
