"""R-hat and effective sample sizes are ArviZ's, to rounding."""

from __future__ import annotations

import arviz
import numpy as np
import pytest

from ppl.convergence import convergence


def chains(kind: str, shape: tuple[int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(shape)
    if kind == "independent":
        return noise
    if kind == "heavy tails":
        return rng.standard_cauchy(shape)
    if kind == "discrete":
        return rng.poisson(1.7, shape).astype(float)
    if kind == "apart":
        return noise + np.arange(shape[0])[:, None]
    phi = {"slow": 0.97, "antithetic": -0.6}[kind]
    for t in range(1, shape[1]):
        noise[:, t] += phi * noise[:, t - 1]
    return noise


@pytest.mark.parametrize("shape", [(1, 50), (3, 101), (4, 37), (2, 4), (2, 5), (5, 7)])
@pytest.mark.parametrize(
    "kind", ["independent", "heavy tails", "discrete", "apart", "slow", "antithetic"]
)
def test_agrees_with_arviz(kind, shape):
    draws = np.stack([chains(kind, shape, seed) for seed in range(7)], axis=-1)
    ours = convergence(draws)
    for v in range(draws.shape[-1]):
        x = draws[:, :, v]
        assert ours.ess_bulk[v] == pytest.approx(arviz.ess(x, method="bulk"), rel=1e-10)
        tail = arviz.ess(x, method="tail", prob=(0.05, 0.95))
        assert ours.ess_tail[v] == pytest.approx(tail, rel=1e-10)
        if (
            shape[0] > 1
        ):  # ArviZ gives none for one chain, whose halves can be compared all the same
            assert ours.r_hat[v] == pytest.approx(arviz.rhat(x), rel=1e-10)


def test_many_variables_are_batched_in_order():
    draws = np.random.default_rng(5).standard_normal((3, 20, 150)) * np.arange(1, 151)
    together = convergence(draws)
    for v in (0, 63, 64, 149):
        alone = convergence(draws[:, :, v : v + 1])
        assert [c[v] for c in together] == [c[0] for c in alone]


def test_missing_constant_and_short():
    draws = np.random.default_rng(6).standard_normal((3, 11, 3))
    draws[1, 4, 0] = np.nan
    draws[:, :, 1] = 2.5
    found = convergence(draws)
    assert np.isnan([c[0] for c in found]).all()
    assert found.ess_bulk[1] == 3 * 10 and np.isnan(found.r_hat[1])
    assert np.isfinite([c[2] for c in found]).all()
    assert all(np.isnan(c).all() and c.shape == (3,) for c in convergence(draws[:, :3]))


def test_one_chain_that_drifts_has_not_converged():
    steady = np.random.default_rng(7).standard_normal((1, 400, 1))
    drifting = steady + np.linspace(0, 2, 400)[:, None]
    assert convergence(steady).r_hat[0] < 1.01 < 1.05 < convergence(drifting).r_hat[0]
