"""Guided particles in compiled code are properly weighted for whole traces: exactly, by tapes that
enumerate what the guide draws, the model's other draws, and the resampling."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import ppl
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision
from ppl.semantics.xla import guided, program, sequential_scan
from ppl.semantics.xla.axes import spread
from ppl.semantics.xla.program import particles
from ppl.semantics.xla.state import State

MODELS = ppl.compile("""
# `c` is drawn before the loop, by the model alone, and read in it and after
model hidden(ys: [bool]) {
  c ~ bernoulli(0.35)
  xs ~ scan x = 0 for y in ys {
    x ~ categorical([[0.35, 0.65, 0], [0, 0.3, 0.7], [1, 0, 0]][x])
    observe y ~ bernoulli([0.15, 0.7, if c { 0.4 } else { 0.9 }][x])
    return x
  }
  observe c ~ bernoulli([0.9, 0.25, 0.4][xs[0]])
  return (c, xs)
}
model ahead(ys: [bool]) {
  xs ~ scan x = 0 for y in ys {
    x ~ categorical(if y { [[0.2, 0.8, 0], [0, 0.4, 0.6], [1, 0, 0]][x] }
                    else { [[0.7, 0.3, 0], [0, 0.5, 0.5], [1, 0, 0]][x] })
    factor log([0.3, 0.9, 0.6][x])
    return x
  }
  return xs
}

# points that are no loops, a plate, a choice in a branch that both take in different cases; the
# guide helps itself by `u`, proposes what cannot be, and ends before the model does
model parts(ys: [bool]) {
  zs ~ for y in ys { z ~ categorical([0.2, 0.5, 0.3]); return z }
  observe true ~ bernoulli([0.3, 0.8, 0.6][zs[0]])
  w ~ if zs[1] > 0 { a ~ bernoulli([0.2, 0, 0.6][zs[0]]); return indicator(a) } else { return 2 }
  observe ys[2] ~ bernoulli([0.2, 0.7, 0.4][w])
  checkpoint
  b ~ bernoulli([0.6, 0.1, 0.5][w])
  return (zs, w, b)
}
model part_guide(ys: [bool]) {
  u ~ bernoulli(0.3)
  zs ~ for y in ys {
    z ~ categorical(if y { [0.1, 0.3, 0.6] } else { if u { [0.6, 0.3, 0.1] } else { [0.25, 0.4, 0.35] } })
    return z
  }
  factor log([0.5, 0.9, 0.7][zs[2]])
  w ~ if zs[1] == 1 { a ~ bernoulli(0.8); return indicator(a) } else { return 2 }
  return w
}

# a loop of the model that takes more steps than the guide drew elements for
model ends(ys: [bool]) {
  ws ~ scan w = 0 for y in ys[0:2] {
    k ~ iterate k = 0 until k > 1 { s ~ bernoulli(0.4); return k + 1 + indicator(s) }
    observe y ~ bernoulli([0, 0, 0.7, 0.2][k])
    return k
  }
  return ws
}
model first(ys: [bool]) {
  ws ~ scan w = 0 for y in ys[0:2] {
    k ~ for i in range(1) { s ~ bernoulli(0.9); return s }
    return 0
  }
  return ws
}

model linear(ys: [real]) {
  xs ~ scan x = 0.5 for y in ys { x ~ normal(0.9 * x, 1); observe y ~ normal(x, 0.3); return x }
  return xs
}
# the law of x given what it comes from and what is seen, by conjugacy, and the density of what is
# seen next; `scales` are that density's, or so large that it is flat
model adapted(ys: [real], nexts: [real], scales: [pos]) {
  xs ~ scan x = 0.5 for (y, next, s) in zip(ys, nexts, scales) {
    x ~ normal((0.9 * x + y / 0.09) / (1 + 1 / 0.09), 1 / sqrt(1 + 1 / 0.09))
    observe next ~ normal(0.9 * x, s)
    return x
  }
  return xs
}
model latest(ys: [real]) {
  x ~ fold x = 0.5 for y in ys { x ~ normal(0.9 * x, 1); observe y ~ normal(x, 0.3); return x }
  return x
}
# the first of the two
model best(ys: [real]) {
  x ~ fold x = 0.5 for y in ys {
    x ~ normal((0.9 * x + y / 0.09) / (1 + 1 / 0.09), 1 / sqrt(1 + 1 / 0.09))
    return x
  }
  return x
}
model short(ys: [real]) {
  xs ~ scan x = 0.5 for y in [ys[0]] { x ~ normal(x, 1); return x }
  return xs
}
model blind(ys: [real]) {
  xs ~ scan x = 0.5 for y in ys { x ~ normal(y, 1); condition x > y; return x }
  return xs
}
""")
YS = [False, True, False]


def bernoulli(p, x):
    return p if x else 1 - p


def hidden_masses():
    """The exact unnormalised measure of histories (c, x_1, x_2, x_3)."""
    move, out = [[0.35, 0.65, 0], [0, 0.3, 0.7], [1, 0, 0]], {}
    for c, *xs in itertools.product((False, True), *[range(3)] * 3):
        m = bernoulli(0.35, c) * bernoulli([0.9, 0.25, 0.4][xs[0]], c)
        for x, to, y in zip((0, *xs), xs, YS, strict=False):
            m *= move[x][to] * bernoulli([0.15, 0.7, 0.4 if c else 0.9][to], y)
        if m > 0:
            out[c, *xs, *xs] = m
    return out


def parts_masses():
    out = {}
    for zs in itertools.product(range(3), repeat=3):
        m = math.prod([0.2, 0.5, 0.3][z] for z in zs) * [0.3, 0.8, 0.6][zs[0]]
        p = [0.2, 0, 0.6][zs[0]]
        for w, q in ((1, p), (0, 1 - p)) if zs[1] > 0 else ((2, 1.0),):
            for b in (False, True):
                seen = bernoulli([0.2, 0.7, 0.4][w], YS[2]) * bernoulli([0.6, 0.1, 0.5][w], b)
                if q > 0:
                    out[*zs, w, b] = m * q * seen
    return out


def of_hidden(result, state):
    return [state.kept["c"], state.sites["xs/x"], result[1]]


def of_parts(result, state):
    return [state.sites["zs/z"], *result[1:]]


class Measure:
    """E[Σ w δ_history] over all tapes; compiled once for all thresholds, and all `mutants`."""

    def __init__(self, model, guide, histories, n, mutants=None):
        target, helper = MODELS[model](ys=YS), MODELS[guide](ys=YS)
        self.data, bound, program = (target.data, helper.data), helper.bound, target.bound

        def run(data, tape):
            (data, known), threshold, mutant = data
            if mutants is not None:
                mutants.append(mutant)
            policy = compiled_policy(Resample("systematic", threshold))
            result, front, state = program.sequential(
                data, tape, particles(n), policy, guide=(bound, known)
            )
            columns = [spread(a, (particles(n),)).data for a in histories(result, state)]
            rows = jnp.concatenate([c.reshape(n, -1).astype(float) for c in columns], axis=1)
            return (front.log_weights, rows), state.omega

        self.paths = Enumerator(run, length=24, batches=(4096,))

    def __call__(self, threshold, mutant=0):
        with precision(None):
            found = self.paths((self.data, threshold, jnp.asarray(mutant)))
        weights, rows = found.outputs
        p = np.exp(found.log_probability)
        assert len(p) > 10 and p.sum() == pytest.approx(1, abs=1e-12)
        mass = (p[:, None] * np.exp(weights)).ravel()
        rows = rows.reshape(-1, rows.shape[-1])
        # a number that tells histories apart, which sorts faster than they do
        mark = (rows * np.random.default_rng(1).random(rows.shape[-1])).sum(axis=1)
        _, first, at = np.unique(mark, return_index=True, return_inverse=True)
        total = np.bincount(at, mass)
        return {tuple(k): m for k, m in zip(rows[first].tolist(), total, strict=True) if m > 0}


def agree(found, known):
    """Whether every history has its mass."""
    return found.keys() == known.keys() and all(
        found[k] == pytest.approx(known[k], abs=1e-13) for k in known
    )


MUTANTS = {
    "bootstrap weights with an optimal proposal": 1,
    "a look-ahead stays in the children's weights": 2,
    "the proposal's density read from another particle": 3,
    "a look-ahead divided out in the slot, not of the ancestor": 4,
}


@pytest.fixture(scope="module")
def planted():
    """The measure under a mutant of the compiled code, by number; 0 is the code as it is."""
    mutants = []

    def following(site, scope, state):
        m = mutants[-1]
        others = {
            k: replace(v, data=jnp.where(m == 3, jnp.roll(v.data, 1, axis=0), v.data))
            for k, v in scope.given.items()
            if "!" in k
        }
        inner = replace(scope, given={**scope.given, **others})
        x, done = guided.follow(site, inner, State(state.omega))
        for f in done.scores:
            state = state.scored(replace(f.score, data=jnp.where(m == 1, 0.0, f.score.data)))
        return x, replace(state, omega=done.omega, sites={**state.sites, **done.sites})

    def looking(policy, sight):
        def at_point(weights, omega, path, future=None):
            m = mutants[-1]
            omega, right = policy(weights + sight, omega, path, future)

            def choose():
                ancestors, level = right.choose()
                own = jnp.where(m == 4, sight, sight[ancestors])
                return ancestors, level - jnp.where(m == 2, 0.0, own)

            return omega, replace(right, choose=choose)

        return at_point

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "follow", following)
        patch.setattr(sequential_scan, "looking", looking)
        measure = Measure("hidden", "ahead", of_hidden, 3, mutants)
        measure(1.0)  # compiled now, so that nothing else is
    return measure


@pytest.mark.parametrize("threshold", [1.0, 0.7])
def test_three_particles_are_properly_weighted_for_whole_histories(planted, threshold):
    known = hidden_masses()
    assert len(known) == 14
    assert agree(planted(threshold), known)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mistakes_of_released_filters_are_found(planted, mutant):
    assert not agree(planted(0.7, MUTANTS[mutant]), hidden_masses())


def test_plates_branches_and_single_points_are_proposed():
    found = Measure("parts", "part_guide", of_parts, 2)(0.9)
    assert agree(found, parts_masses())


def test_loops_without_a_bound_draw_for_themselves():
    found = Measure("ends", "first", lambda result, state: [result], 2)(0.9)
    first, second = ({2: 0.76 * bernoulli(0.7, y), 3: 0.24 * bernoulli(0.2, y)} for y in YS[:2])
    assert agree(found, {(j, k): first[j] * second[k] for j in first for k in second})


def test_an_optimal_proposal_gives_the_evidence_of_one_step_exactly():
    """All weights are p(y), on both engines."""
    known = norm.logpdf(1.7, 0.45, math.sqrt(1.09))
    target, guide = MODELS.latest(ys=[1.7]), MODELS.best(ys=[1.7])
    for engine, keep in (("xla", False), ("machine", True)):
        for seed in range(3):
            method = ppl.smc(particles=7, guide=guide, keep_history=keep)
            found = ppl.infer(target, method, seed=seed, engine=engine, progress=False)
            assert found.log_evidence == pytest.approx(known, abs=1e-12)
            assert np.ptp(found.log_weights) < 1e-12
            assert len(np.unique(found["x"])) == 7


ENGINES = pytest.mark.parametrize("engine", ["xla", "machine"])


@ENGINES
def test_a_fully_adapted_filter_has_constant_weights(engine):
    """What is looked ahead to is what the next step is weighted by: it cancels at every step."""
    ys = [1.2, 2.9, 0.4, -1.0]
    scales = [math.sqrt(1.09)] * 3 + [1e9]
    guide = MODELS.adapted(ys=ys, nexts=[*ys[1:], 0.0], scales=scales)
    method = ppl.smc(particles=50, threshold=1.0, guide=guide)
    found = ppl.infer(MODELS.linear(ys=ys), method, engine=engine, progress=False)
    assert found.points["resampled"][:3].all()
    assert found.points["effective_sample_size"][-1] == pytest.approx(50, abs=1e-9)
    assert np.ptp(found.log_weights) < 1e-10
    assert 1 < len(np.unique(found["xs"][0, :, 0])) < 50  # it did resample


def test_guides_that_compiled_code_does_not_run_are_the_machines():
    target, guide = MODELS.linear(ys=[0.4, 1.0, 0.2]), MODELS.short(ys=[0.4])
    with pytest.raises(DiagnosticError, match="E730.*1 steps where the model takes 3"):
        ppl.infer(target, ppl.smc(particles=5, guide=guide), engine="xla", progress=False)
    posterior = ppl.infer(target, ppl.smc(particles=5, guide=guide), progress=False)
    assert [r.code for r in posterior.remarks] == ["W717"]


@ENGINES
def test_a_guide_that_gives_particles_up_is_refused(engine):
    ys = [0.4, 1.0, 0.2]
    with pytest.raises(DiagnosticError, match="E868"):
        ppl.infer(
            MODELS.linear(ys=ys),
            ppl.smc(particles=20, guide=MODELS.blind(ys=ys)),
            engine=engine,
            progress=False,
        )
