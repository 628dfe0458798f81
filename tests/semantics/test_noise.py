"""Noise maps: abduction inverts replay; replayed noise has the law of the other parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.noise import noise_of, push

N = 3_000
KEY = jax.random.key(12)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(
    ("name", "seen", "other"),
    [
        ("normal", (0.3, 1.2), (-2.0, 0.4)),
        ("exponential", (1.3,), (0.2,)),
        ("geometric", (0.3,), (0.6,)),
        ("categorical", (np.array([0.2, 0.5, 0.3]),), (np.array([0.6, 0.1, 0.3]),)),
        ("bernoulli", (0.2,), (0.7,)),
        (
            "multi_normal",
            (np.zeros(2), np.array([[2.0, 0.7], [0.7, 1.0]])),
            (np.ones(2), np.eye(2)),
        ),
        (
            "multi_normal_prec",
            (np.zeros(2), np.array([[2.0, 0.7], [0.7, 1.0]])),
            (np.ones(2), np.eye(2)),
        ),
    ],
)
def test_replay_inverts_abduction_and_has_the_other_law(name, seen, other):
    """Kolmogorov-Smirnov or chi-square at a false-alarm rate of 1e-6, fixed keys."""
    first, second = D.make(name, seen), D.make(name, other)
    x = first.sample(KEY, (N,))
    noise = noise_of(first, x, jax.random.key(3))
    back = push(first, noise)
    np.testing.assert_allclose(np.asarray(back, float), np.asarray(x, float), rtol=1e-9, atol=1e-9)
    moved = np.asarray(push(second, noise))
    if name == "normal":
        np.testing.assert_allclose(
            moved, -2.0 + 0.4 * (np.asarray(x) - 0.3) / 1.2, rtol=1e-9, atol=1e-9
        )
    if not D.is_discrete(first):
        line = moved if moved.ndim == 1 else (moved[:, 0] - 1)
        cdf = (
            st.expon(scale=5).cdf
            if name == "exponential"
            else st.norm(-2, 0.4).cdf
            if name == "normal"
            else st.norm.cdf
        )
        assert st.kstest(line, cdf).pvalue > 1e-6
        return
    ks = np.arange(4 if name == "geometric" else 2 if name == "bernoulli" else 3)
    expected = np.exp(np.asarray(second.log_prob(ks))) * N
    observed = np.array([(moved == k).sum() for k in ks])
    expected, observed = (
        np.append(expected, N - expected.sum()),
        np.append(observed, N - observed.sum()),
    )
    keep = expected > 1
    assert (
        st.chi2.sf(np.sum((observed - expected)[keep] ** 2 / expected[keep]), keep.sum() - 1) > 1e-6
    )


def test_gumbel_noise_is_gumbel_whatever_was_drawn():
    p = jnp.array([0.2, 0.5, 0.3])
    law = D.make("categorical", (p,))
    noise = np.asarray(noise_of(law, law.sample(KEY, (N,)), jax.random.key(5)))
    for k in range(3):
        assert st.kstest(noise[:, k], st.gumbel_r.cdf).pvalue > 1e-6


def test_distributions_without_a_map_are_refused():
    with pytest.raises(DiagnosticError, match="E725"):
        noise_of(D.make("gamma", (2.0, 1.0)), jnp.array(1.0), KEY)
