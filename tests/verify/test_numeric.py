"""The numeric level: quadrature, Jacobians, balance point by point, orbits, gradient estimators.

No test here has a false-alarm rate. Each error that is planted was one of a released system.
"""

from __future__ import annotations

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.semantics import distributions as D
from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_map import map_children
from ppl.verify import (
    Bijection,
    ChangesVariables,
    Estimator,
    Integrator,
    Invariant,
    Involution,
    KeepsVolume,
    Measure,
    Metropolis,
    OnOrbit,
    Reversible,
    Rewrite,
    Sampler,
    UnbiasedGradient,
    bernoulli,
    categorical,
    check,
    evidence,
)
from ppl.verify.orbits import enumerated, numpyro_rows, nuts, orbit_of, turns, weights
from ppl.verify.quadrature import Range, integral, integrals, located

# --------------------------------------------------------------------------------------- quadrature


@pytest.mark.parametrize(
    ("law", "range"),
    [
        (stats.norm(3, 0.2), None),
        (stats.cauchy(-2, 5), None),
        (stats.gamma(1.4, scale=3), Range(0)),
        (stats.beta(0.5, 0.7), Range(0, 1)),
        (stats.weibull_max(1.7), Range(high=0)),
        (stats.beta(3, 40), Range(0, 1)),
    ],
    ids=lambda x: x.dist.name if hasattr(x, "dist") else "",
)
def test_densities_integrate_to_one(law, range):
    log_f = lambda x: law.logpdf(x[:, 0])  # noqa: E731
    found = integral(log_f, [range] if range else located(log_f, 1))
    assert abs(found.log) <= 1e-10 and found.error <= 1e-10


def test_expectations_in_two_dimensions():
    mean, covariance = np.array([1.0, -2.0]), np.array([[4.0, 1.8], [1.8, 1.5]])
    log_f = lambda x: stats.multivariate_normal(mean, covariance).logpdf(x) + 0.7  # noqa: E731
    mass, square = integrals(
        lambda x: (log_f(x), np.stack([np.ones(len(x)), x[:, 0] ** 2])), located(log_f, 2)
    )
    assert mass.log == pytest.approx(0.7, abs=1e-9)
    assert math.exp(square.log - mass.log) == pytest.approx(4 + 1, abs=1e-8)


def test_an_integrand_with_edges_has_a_large_error():
    ragged = lambda x: np.where(np.sin(7 * x[:, 0] ** 2) > 0.3, -(x[:, 0] ** 2), -np.inf)  # noqa: E731
    assert integral(ragged, [Range()]).error > 1e-4


def test_the_evidence_of_a_continuous_program():
    one = ppl.compile("model m(y: real) { mu ~ normal(0.4, 2); observe y ~ normal(mu, 0.7) }")
    found = evidence(one.m(y=1.3))
    assert found.log == pytest.approx(stats.norm(0.4, math.hypot(2, 0.7)).logpdf(1.3), abs=1e-10)
    with pytest.raises(DiagnosticError, match="E748"):
        evidence(ppl.compile("model m() { x ~ for _ in range(3) { normal(0, 1) } }").m())


PROGRAM = """
model m() {
  x ~ normal(0.3, 1.7)
  g ~ gamma(2, 3)
  k ~ bernoulli(0.3)
  z ~ normal(if k { x } else { 2 }, 0.5)
  observe 0.7 ~ normal(z, 1.2)
  return x + 2 * z
}
"""


def edited(drop=(), result=None):
    """The program without the statements that bind these names, or without scores."""

    def pass_(program):
        def comp(n):
            if isinstance(n, ir.Block):
                binds = tuple(b for b in n.binds if not dropped(b))
                n = replace(n, binds=binds)
            return map_children(n, comp)

        def dropped(b):
            return any(f'"{name}"' in str(b) for name in drop) or (
                "scores" in drop and isinstance(b.comp, (ir.Score, ir.Observe))
            )

        functions = tuple(replace(f, body=comp(f.body)) for f in program.functions)
        return replace(program, functions=functions)

    return Rewrite(pass_)


def test_what_a_pass_drops_is_integrated_out():
    verdict = check(edited(["g"]), PROGRAM, Measure())
    assert verdict.ok and verdict.report.level == "numeric", verdict
    assert "normal" in verdict.report.because


def test_a_pass_that_drops_scores_is_found():
    verdict = check(edited(["scores"]), PROGRAM, Measure())
    assert verdict.outcome == "FAIL" and verdict.counterexample.unit == "log density"
    assert "free coordinates" in verdict.counterexample.at


def test_other_subjects_are_not_numeric():
    verdict = check(Sampler(lambda m, o: m.run(o)), PROGRAM, Measure(), level="numeric")
    assert verdict.outcome == "INCONCLUSIVE" and "integrate" in verdict.why


# ------------------------------------------------------------------------------ changes of variables


def softmax_centred(x):
    """R^n to the simplex without its last coordinate, and the stated log determinant."""
    y = jnp.append(x, 0.0)
    return jax.nn.softmax(y)[:-1]


BIJECTIONS = {
    "exp": (jnp.exp, jnp.sum, jnp.log),
    "sigmoid": (
        jax.nn.sigmoid,
        lambda x: jnp.sum(jax.nn.log_sigmoid(x) + jax.nn.log_sigmoid(-x)),
        lambda y: jnp.log(y) - jnp.log1p(-y),
    ),
    "softmax": (
        softmax_centred,
        lambda x: jnp.sum(jax.nn.log_softmax(jnp.append(x, 0.0))),
        lambda y: jnp.log(y) - jnp.log1p(-jnp.sum(y)),
    ),
}

WRONG_BIJECTIONS = {
    "at the back-transformed value": (jnp.exp, lambda x: jnp.sum(jnp.exp(x)), None),
    "summed, and then once per element": (jnp.exp, lambda x: x.size * jnp.sum(x), None),
    "softmax without its last factor": (
        softmax_centred,
        lambda x: jnp.sum(jax.nn.log_softmax(jnp.append(x, 0.0))[:-1]),
        None,
    ),
    "rate for scale in the inverse": (
        lambda x: 2.5 * x,
        lambda x: 3 * jnp.log(2.5),
        lambda y: 2.5 * y,
    ),
}


@pytest.mark.parametrize("name", BIJECTIONS)
def test_stated_log_determinants_are_those_of_the_jacobian(name):
    verdict = check(Bijection(*BIJECTIONS[name]), None, ChangesVariables())
    assert verdict.ok and verdict.report.level == "numeric", verdict


@pytest.mark.parametrize("name", WRONG_BIJECTIONS)
def test_a_wrong_log_determinant_is_found(name):
    verdict = check(Bijection(*WRONG_BIJECTIONS[name]), None, ChangesVariables())
    assert verdict.outcome == "FAIL" and "x = " in verdict.counterexample.at


def test_a_log_determinant_per_element_is_refused():
    with pytest.raises(DiagnosticError, match=r"E742.*\(3,\)"):
        check(Bijection(jnp.exp, lambda x: x), None, ChangesVariables())
    with pytest.raises(DiagnosticError, match="E742"):
        check(Bijection(lambda x: x[:2], jnp.sum), None, ChangesVariables())
    with pytest.raises(DiagnosticError, match="E742.*JAX"):
        check(Bijection(lambda x: math.exp(x[0]) * x, jnp.sum), None, ChangesVariables())


# -------------------------------------------------------------------------------- continuous kernels

SCALES = jnp.array([1.3, 0.7, 2.1])


def banana(z):
    """A density of two coordinates that is neither symmetric nor normal."""
    return -0.5 * (z[0] / 1.3) ** 2 - 0.5 * (z[1] - 0.4 * z[0] ** 2 + 0.3) ** 2 / 0.6


def uphill(z):
    """Its gradient."""
    off = (z[1] - 0.4 * z[0] ** 2 + 0.3) / 0.6
    return jnp.stack([-z[0] / 1.3**2 + 0.8 * z[0] * off, -off])


TARGET = (banana, 2)
EPS = 0.35


def leapfrog(q, p, *, first=0.5, last=0.5):
    p = p + first * EPS * uphill(q)
    q = q + EPS * p
    return q, p + last * EPS * uphill(q)


def test_leapfrog_steps_undo_themselves_and_keep_volume():
    assert check(Integrator(leapfrog, size=2), None, KeepsVolume()).ok


@pytest.mark.parametrize(
    "step",
    [
        lambda q, p: leapfrog(q, p, first=1.0, last=0.0),
        lambda q, p: (q + EPS * p, p + EPS * uphill(q)),
        lambda q, p: leapfrog(q, 0.9 * p),
    ],
    ids=["whole steps at one end", "Euler's method", "friction"],
)
def test_a_wrong_integrator_is_found(step):
    assert check(Integrator(step, size=2), None, KeepsVolume()).outcome == "FAIL"


def trajectory(x, *, steps=2, turned=True):
    q, p = x[:2], x[2:]
    for _ in range(steps):
        q, p = leapfrog(q, p)
    return jnp.concatenate([q, -p if turned else p])


def energy(x, *, kinetic=1.0):
    return -banana(x[:2]) + 0.5 * kinetic * jnp.sum(x[2:] ** 2)


def accept_by(energy):
    return lambda x, y: jnp.minimum(1.0, jnp.exp(energy(x) - energy(y)))


def test_hamiltonian_trajectories_are_reversible():
    verdict = check(Involution(trajectory, accept_by(energy), extra=2), TARGET, Reversible())
    assert verdict.ok and verdict.report.level == "numeric", verdict


@pytest.mark.parametrize(
    ("map", "accept"),
    [
        (trajectory, lambda x, y: 1.0),
        (trajectory, accept_by(lambda x: energy(x, kinetic=0.0))),
        (trajectory, accept_by(lambda x: -energy(x))),
        (trajectory, accept_by(lambda x: energy(x) / 3.012 * 3)),
        (lambda x: trajectory(x, turned=False), accept_by(energy)),
    ],
    ids=["never rejected", "kinetic energy left out", "sign", "3.012 for 3", "momenta not turned"],
)
def test_a_wrong_hamiltonian_kernel_is_found(map, accept):
    assert check(Involution(map, accept, extra=2), TARGET, Reversible()).outcome == "FAIL"


def mala(x, noise, *, sign=1.0):
    return x + sign * 0.5 * EPS**2 * uphill(x) + EPS * noise


def mala_ratio(x, y, *, sign=1.0, corrected=True):
    def log_q(x, y):
        return -0.5 * jnp.sum((y - mala(x, 0.0, sign=sign)) ** 2) / EPS**2

    correction = log_q(y, x) - log_q(x, y) if corrected else 0.0
    return jnp.minimum(1.0, jnp.exp(banana(y) - banana(x) + correction))


def test_langevin_proposals_with_their_correction_are_reversible():
    assert check(Metropolis(mala, mala_ratio), TARGET, Reversible()).ok
    away = Metropolis(lambda x, z: mala(x, z, sign=-1), lambda x, y: mala_ratio(x, y, sign=-1))
    assert check(away, TARGET, Reversible()).ok  # slow, and right


@pytest.mark.parametrize(
    ("propose", "accept"),
    [
        (lambda x, z: mala(x, z, sign=-1), mala_ratio),
        (mala, lambda x, y: mala_ratio(x, y, corrected=False)),
        (lambda x, z: x * jnp.exp(0.3 * z), lambda x, y: mala_ratio(x, y, corrected=False)),
    ],
    ids=["minus the gradient", "no correction", "a multiplicative step without its Jacobian"],
)
def test_a_correction_that_does_not_match_is_found(propose, accept):
    verdict = check(Metropolis(propose, accept), TARGET, Reversible())
    assert verdict.outcome == "FAIL" and "flow" in verdict.counterexample.unit


def test_kernels_of_programs_are_about_their_free_coordinates():
    target = ppl.compile("model m() { s ~ gamma(2.5, 1.5); observe 0.7 ~ normal(0, s) }").m()
    log_density = lambda z: stats.gamma(2.5, scale=1 / 1.5).logpdf(np.exp(z)) + z  # noqa: E731

    def accept(x, y, jacobian=1.0):
        def log(z):
            s = jnp.exp(z[0])
            return 1.5 * z[0] - 1.5 * s + jacobian * z[0] - z[0] - 0.5 * (0.7 / s) ** 2

        return jnp.minimum(1.0, jnp.exp(log(y) - log(x)))

    assert np.isfinite(log_density(0.3))
    walk = lambda x, z: x + 0.8 * z  # noqa: E731
    verdict = check(Metropolis(walk, accept), target, Reversible())
    assert verdict.ok, verdict
    without = Metropolis(walk, lambda x, y: accept(x, y, jacobian=0.0))
    verdict = check(without, target, Reversible())
    assert verdict.outcome == "FAIL" and "model m()" in verdict.counterexample.program


def test_a_proposal_that_cannot_come_back_decides_nothing():
    outwards = Metropolis(lambda x, z: x + jnp.exp(z), lambda x, y: 1.0)
    verdict = check(outwards, TARGET, Reversible())
    assert verdict.outcome == "INCONCLUSIVE" and "noise" in verdict.why


# --------------------------------------------------------------------------------------------- NUTS


def on_orbit(transition, *step_sizes):
    subject = OnOrbit(enumerated(transition), depth=2, step_sizes=step_sizes or (0.9,))
    return check(subject, TARGET, Invariant())


def test_nuts_keeps_the_law_along_an_orbit():
    verdict = on_orbit(nuts, 0.4, 0.9)
    assert verdict.ok and verdict.distance < 1e-12, verdict


def test_numpyro_s_trees_do_and_are_the_reference_s():
    verdict = check(OnOrbit(numpyro_rows), TARGET, Invariant())
    assert verdict.ok and verdict.distance < 1e-12, verdict
    for step in (0.25, 0.6):
        orbit = orbit_of(banana, np.array([0.3, -0.2]), np.array([1.0, 0.5]), step, 32)
        starts = range(7, 25)
        turned = [turns(orbit, i, i + 7) for i in starts]
        assert True in turned and (step > 0.5 or False in turned)
        some = enumerated(nuts)(orbit, starts[::5], 3)
        assert numpyro_rows(orbit, starts, 3)[::5] == pytest.approx(some, abs=1e-14)


def variant(
    *,
    merged=True,
    whole_sums=True,
    subtrees=True,
    discarded=True,
    extra=False,
    uniform=False,
    q=False,
):
    """NUTS with one of its parts wrong."""

    def transition(orbit, start, omega, *, depth):
        seen = replace(orbit, p=orbit.q) if q else orbit
        left = right = chosen = start
        for k in range(depth):
            forward = bernoulli(omega, ("direction", k), 0.5)
            a, b = (right + 1, right + 2**k) if forward else (left - 2**k, left - 1)
            bad = turns(seen, a, b) if subtrees else False
            if bad and discarded:
                break
            new, old = weights(orbit, a, b), weights(orbit, left, right)
            pick = a + categorical(omega, ("pick", k), tuple(new / new.sum()))
            ratio = 2**k / 2**k if uniform else new.sum() / old.sum()
            if bernoulli(omega, ("accept", k), min(1.0, ratio)):
                chosen = pick
            if bad:
                break
            left, right = min(a, left), max(b, right)
            turning = seen.turning(left, right) if whole_sums else _by_part(seen, left, right, a, b)
            if merged and turning:
                break
        ratio = math.exp(min(0.0, orbit.energy[start] - orbit.energy[chosen]))
        return chosen if not extra or bernoulli(omega, "again", ratio) else start

    return transition


def _by_part(orbit, left, right, a, b):
    """The criterion with the sum over the newer half alone."""
    total = np.sum(orbit.p[a : b + 1], 0)
    return bool(orbit.p[left] @ total <= 0 or orbit.p[right] @ total <= 0)


def test_a_criterion_on_positions_is_inefficient_and_not_wrong():
    """It is a function of the trajectory alone, so that every one of its states agrees on it."""
    assert on_orbit(variant()).ok
    assert on_orbit(variant(q=True)).ok


@pytest.mark.parametrize(
    "wrong", [{"merged": False}, {"whole_sums": False}, {"subtrees": False}, {"discarded": False},
              {"extra": True}, {"uniform": True}], ids=str
)  # fmt: skip
def test_a_wrong_tree_is_found(wrong):
    verdict = on_orbit(variant(**wrong))
    assert verdict.outcome == "FAIL" and "state" in verdict.counterexample.at


def test_rows_that_are_no_probabilities_are_found():
    half = OnOrbit(
        lambda orbit, starts, depth: 0.5 * enumerated(nuts)(orbit, starts, depth), depth=2
    )
    verdict = check(half, TARGET, Invariant())
    assert verdict.outcome == "FAIL" and "sum" in verdict.counterexample.unit


# -------------------------------------------------------------------------------- gradient estimators

REWARD = jnp.array([0.3, 1.9, -0.8])
DATA = jnp.array([0.4, -1.1, 2.3])


def law(theta):
    return D.make("categorical", (jax.nn.softmax(theta),))


def log_p(theta, z):
    return jax.nn.log_softmax(theta)[z]


def score(theta, z):
    """The gradient of `log_p`."""
    return (jnp.arange(3) == z) - jax.nn.softmax(theta)


THETA = jnp.array([0.2, -0.5, 0.7])


def reward(theta, omega):
    omega, z = omega.draw(("z",), law(theta), ())
    return omega, REWARD[z] * (1 + 0.2 * theta[0])


def score_function(theta, omega, *, path=1.0, likelihood=1.0):
    """The score function times the reward less a baseline, and the reward's own derivative."""
    omega, z = omega.draw(("z",), law(theta), ())
    value, slope = REWARD[z] * (1 + 0.2 * theta[0]), REWARD[z] * jnp.array([0.2, 0.0, 0.0])
    return omega, likelihood * (value - 0.4) * score(theta, z) + path * slope


def subsampled(theta, omega, *, power=1):
    """A sum over data by one of its terms; `power` 2 scales twice."""
    omega, i = omega.draw(("i",), D.make("categorical", (jnp.array([0.2, 0.5, 0.3]),)), ())
    scale = 1 / jnp.array([0.2, 0.5, 0.3])[i] ** power
    off = DATA[i] - theta[0] * theta[1]
    return omega, scale * off * jnp.stack([theta[1], theta[0], 0.0])


def scaled(theta, omega, *, by):
    omega, gradient = subsampled(theta, omega)
    return omega, by * gradient


def whole(theta, omega):
    return omega, jnp.sum(-0.5 * (DATA - theta[0] * theta[1]) ** 2)


def weight(theta, z):
    """A log weight of importance sampling."""
    return jnp.array([0.4, -0.9, 0.1])[z] - log_p(theta, z)


def several(theta, omega):
    omega, zs = omega.draw(("z",), law(theta).expand((3,)), (3,))
    return omega, jax.nn.logsumexp(weight(theta, zs)) - jnp.log(3)


def multi_sample(theta, omega, *, normalised=True):
    """The gradient of the log of the mean of three weights; normalised by the sum of all, or by
    what is left of it after it was overwritten."""
    omega, zs = omega.draw(("z",), law(theta).expand((3,)), (3,))

    w = weight(theta, zs)
    share = jnp.exp(w - (jax.nn.logsumexp(w) if normalised else w[-1] + jnp.log(3)))
    scores = (zs[:, None] == jnp.arange(3)) - jax.nn.softmax(theta)
    value = jax.nn.logsumexp(w) - jnp.log(3)
    return omega, jnp.sum((value - share[:, None]) * scores, 0)


def chain(theta, omega):
    """Three choices, each by the one before, in a loop."""

    def step(carry, t):
        omega, z, total = carry
        omega_t = omega.enter(t)
        omega_t, z = omega_t.draw(("z",), law(theta * (1 + 0.5 * z)), ())
        return (omega.leave(omega_t), z, total + REWARD[z] * (t + 1)), None

    (omega, _, total), _ = jax.lax.scan(step, (omega, jnp.array(0), 0.0), jnp.arange(3))
    return omega, total


def through_the_loop(theta, omega, *, inside=True):
    def step(carry, t):
        omega, z, total, scores = carry
        omega_t, by = omega.enter(t), 1 + 0.5 * z
        omega_t, new = omega_t.draw(("z",), law(theta * by), ())
        scores = scores + by * score(theta * by, new) * inside
        return (omega.leave(omega_t), new, total + REWARD[new] * (t + 1), scores), None

    start = (omega, jnp.array(0), 0.0, jnp.zeros(3))
    (omega, _, total, scores), _ = jax.lax.scan(step, start, jnp.arange(3))
    return omega, total * scores


def two_sites(theta, omega, *, names=("z", "y")):
    omega, z = omega.draw((names[0],), law(theta), ())
    omega, y = omega.draw((names[1],), law(2 * theta), ())
    value = REWARD[z] * REWARD[y]
    return omega, value * (score(theta, z) + 2 * score(2 * theta, y))


def two(theta, omega):
    omega, z = omega.draw(("z",), law(theta), ())
    omega, y = omega.draw(("y",), law(2 * theta), ())
    return omega, REWARD[z] * REWARD[y]


def with_(f, **options):
    return lambda theta, omega: f(theta, omega, **options)


@pytest.mark.parametrize(
    ("estimate", "objective"),
    [(score_function, reward), (subsampled, whole), (multi_sample, several),
     (through_the_loop, chain), (two_sites, two)],
    ids=["score function", "subsample", "multi-sample", "loop", "two sites"],
)  # fmt: skip
def test_estimators_are_unbiased(estimate, objective):
    verdict = check(Estimator(estimate, objective, THETA), None, UnbiasedGradient())
    assert verdict.ok and verdict.report.paths > 3, verdict


@pytest.mark.parametrize(
    ("estimate", "objective", "why"),
    [
        (with_(subsampled, power=2), whole, ""),
        (with_(multi_sample, normalised=False), several, ""),
        (with_(through_the_loop, inside=False), chain, "silently zero"),
        (with_(score_function, path=0.0), reward, ""),
        (with_(score_function, likelihood=0.0), reward, ""),
        (with_(two_sites, names=("z", "z")), two, "`z`"),
        (with_(scaled, by=9), whole, "9 times"),
    ],
    ids=["scale squared", "normaliser overwritten", "zero in a loop", "no derivative of the reward",
         "no score", "one key for two sites", "a constant factor"],
)  # fmt: skip
def test_a_biased_estimator_is_found(estimate, objective, why):
    verdict = check(Estimator(estimate, objective, THETA), None, UnbiasedGradient())
    assert verdict.outcome == "FAIL" and why in verdict.why, verdict


def test_estimators_that_cannot_be_enumerated_decide_nothing():
    def normal(theta, omega):
        omega, x = omega.draw(("x",), D.make("normal", (theta[0], 1.0)), ())
        return omega, x * theta

    verdict = check(Estimator(normal, whole, THETA), None, UnbiasedGradient())
    assert verdict.outcome == "INCONCLUSIVE" and "infinitely many" in verdict.why
    with pytest.raises(DiagnosticError, match="E742"):
        check(Estimator(lambda t, o: (o, t[:2]), whole, THETA), None, UnbiasedGradient())
    with pytest.raises(DiagnosticError, match="E744"):
        check(Estimator(score_function, reward, THETA), None, Measure())
    with pytest.raises(DiagnosticError, match="E746"):
        check(OnOrbit(numpyro_rows), TARGET, Invariant(), level="exact")
