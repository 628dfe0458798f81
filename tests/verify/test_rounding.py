"""Arrays of single precision in a subject make differences that are rounding, and hide no others."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from ppl.semantics.distributions import make
from ppl.verify import Bijection, ChangesVariables, Compiled, Estimator, ProperlyWeighted, check
from ppl.verify.contracts import UnbiasedGradient

#: made outside of the scope of any check, so that they are single
REWARDS = jnp.array([0.3, 1.9, -0.8])


def objective(theta, omega):
    omega, z = omega.draw(("z",), make("categorical", (jax.nn.softmax(theta),)), ())
    return omega, REWARDS[z]


def leave_one_out(share):
    def estimate(theta, omega):
        law = make("categorical", (jax.nn.softmax(theta),)).expand((3,))
        omega, z = omega.draw(("z",), law, (3,))
        r = REWARDS[z]
        baseline = (r.sum() - r) / 2 + share * r
        cost = jax.lax.stop_gradient(r - baseline)
        return omega, jax.grad(lambda t: jnp.mean(cost * jax.nn.log_softmax(t)[z]))(theta)

    return Estimator(estimate, objective, jnp.array([0.2, -0.5, 0.7]))


def test_a_right_estimator_passes_and_the_report_says_what_it_would_not_have_seen():
    verdict = check(leave_one_out(0.0), None, UnbiasedGradient())
    assert verdict.ok and verdict.smallest_effect == 1e-5
    assert check(leave_one_out(1e-3), None, UnbiasedGradient()).outcome == "FAIL"


@pytest.mark.parametrize("off", [0.0, 1e-3])
def test_maps(off):
    scale = jnp.array([0.3, 1.7, 2.3]) / 7

    def log_determinant(x):
        return jnp.log(scale).sum() + off

    verdict = check(Bijection(lambda x: x * scale, log_determinant), None, ChangesVariables())
    assert verdict.outcome == ("FAIL" if off else "PASS")


@pytest.mark.parametrize("off", [0.0, 1e-3])
@pytest.mark.usefixtures("quick_compilation")
def test_compiled_samplers(off):
    thirds = jnp.array([0.3, 1.7, 2.3]) / 4.3

    def proposed(model, omega):
        runs = model.forward(omega, 1)
        a = runs.values["a"]
        return type(runs)(
            runs.omega, runs.values,
            runs.log_weights + jnp.log(thirds)[a] - jnp.log(thirds * (1 + off))[a],
        )  # fmt: skip

    verdict = check(
        Compiled(proposed), "model m() { a ~ categorical([0.2, 0.5, 0.3]); return a }",
        ProperlyWeighted(),
    )  # fmt: skip
    assert verdict.outcome == ("FAIL" if off else "PASS")
