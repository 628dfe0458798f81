"""The numeric level: quadrature, Jacobians, balance point by point, orbits, gradient estimators.

No test here has a false-alarm rate. Planted errors are in `mutants.numeric`.
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
    check,
    evidence,
)
from ppl.verify.maps import banana
from ppl.verify.orbits import enumerated, numpyro_rows, nuts, orbit_of, turns
from ppl.verify.quadrature import Range, integral, integrals, located
from tests.verify.mutants.estimators import (
    THETA,
    chain,
    multi_sample,
    reward,
    score_function,
    several,
    subsampled,
    through_the_loop,
    two,
    two_sites,
    whole,
)
from tests.verify.mutants.hamiltonian import (
    accept_by,
    energy,
    leapfrog,
    mala,
    mala_ratio,
    trajectory,
)
from tests.verify.mutants.numeric import on_orbit
from tests.verify.mutants.transforms import softmax_centred

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


@pytest.mark.parametrize("name", BIJECTIONS)
def test_stated_log_determinants_are_those_of_the_jacobian(name):
    verdict = check(Bijection(*BIJECTIONS[name]), None, ChangesVariables())
    assert verdict.ok and verdict.report.level == "numeric", verdict


def test_a_log_determinant_per_element_is_refused():
    with pytest.raises(DiagnosticError, match=r"E742.*\(3,\)"):
        check(Bijection(jnp.exp, lambda x: x), None, ChangesVariables())
    with pytest.raises(DiagnosticError, match="E742"):
        check(Bijection(lambda x: x[:2], jnp.sum), None, ChangesVariables())
    with pytest.raises(DiagnosticError, match="E742.*JAX"):
        check(Bijection(lambda x: math.exp(x[0]) * x, jnp.sum), None, ChangesVariables())


# -------------------------------------------------------------------------------- continuous kernels


def test_leapfrog_steps_undo_themselves_and_keep_volume():
    assert check(Integrator(leapfrog, size=2), None, KeepsVolume()).ok


def test_acceptance_that_underflows_is_no_mistake():
    """Where densities are e^800 apart, the probability of going down is 0 in floating point."""

    def steep(x):
        return 400 * x[0]

    def accept(x, y):
        return jnp.minimum(1, jnp.exp(steep(y) - steep(x)))

    for subject in (
        lambda a: Involution(lambda x: -x, a),
        lambda a: Metropolis(lambda x, noise: x + noise, a, rounds=1),
    ):
        assert check(subject(accept), (steep, 1), Reversible()).ok
        always = subject(lambda x, y: 1.0 + 0 * x[0])
        assert check(always, (steep, 1), Reversible()).outcome == "FAIL"


def test_hamiltonian_trajectories_are_reversible():
    verdict = check(Involution(trajectory, accept_by(energy), extra=2), None, Reversible())
    assert verdict.ok and verdict.report.level == "numeric", verdict


def test_langevin_proposals_with_their_correction_are_reversible():
    assert check(Metropolis(mala, mala_ratio), None, Reversible()).ok


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
    verdict = check(outwards, None, Reversible())
    assert verdict.outcome == "INCONCLUSIVE" and "noise" in verdict.why


# --------------------------------------------------------------------------------------------- NUTS


def test_nuts_keeps_the_law_along_an_orbit():
    subject = OnOrbit(enumerated(nuts), depth=2, step_sizes=(0.4, 0.9))
    verdict = check(subject, None, Invariant())
    assert verdict.ok and verdict.distance < 1e-12, verdict


def test_numpyro_s_trees_do_and_are_the_reference_s():
    verdict = check(OnOrbit(numpyro_rows), None, Invariant())
    assert verdict.ok and verdict.distance < 1e-12, verdict
    for step in (0.25, 0.6):
        orbit = orbit_of(banana, np.array([0.3, -0.2]), np.array([1.0, 0.5]), step, 32)
        starts = range(7, 25)
        turned = [turns(orbit, i, i + 7) for i in starts]
        assert True in turned and (step > 0.5 or False in turned)
        some = enumerated(nuts)(orbit, starts[::5], 3)
        assert numpyro_rows(orbit, starts, 3)[::5] == pytest.approx(some, abs=1e-14)


def test_the_mutants_without_an_error_keep_the_law():
    assert check(on_orbit(), None, Invariant()).ok


def test_rows_that_are_no_probabilities_are_found():
    half = OnOrbit(
        lambda orbit, starts, depth: 0.5 * enumerated(nuts)(orbit, starts, depth), depth=2
    )
    verdict = check(half, None, Invariant())
    assert verdict.outcome == "FAIL" and "sum" in verdict.counterexample.unit


# -------------------------------------------------------------------------------- gradient estimators


@pytest.mark.parametrize(
    ("estimate", "objective"),
    [(score_function, reward), (subsampled, whole), (multi_sample, several),
     (through_the_loop, chain), (two_sites, two)],
    ids=["score function", "subsample", "multi-sample", "loop", "two sites"],
)  # fmt: skip
def test_estimators_are_unbiased(estimate, objective):
    verdict = check(Estimator(estimate, objective, THETA), None, UnbiasedGradient())
    assert verdict.ok and verdict.report.paths > 3, verdict


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
        check(OnOrbit(numpyro_rows), None, Invariant(), level="exact")
