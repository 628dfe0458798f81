"""The density at a temperature: likelihoods, and nothing else, to a power, before sites are summed."""

import itertools
import math
from functools import partial

import jax
import numpy as np
import pytest
from scipy.stats import gamma, norm

import ppl
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision

pytestmark = pytest.mark.usefixtures("quick_compilation")
MODELS = ppl.compile("""
# three states; a chain, a plate of summed sites, a factor that reads a summed site, a given site
model chain(ys: [real], ws: [real]) {
  s ~ gamma(2, 1.5)
  m ~ normal(0.3, 2)
  z0 ~ categorical([0.5, 0.2, 0.3])
  zs ~ scan z = z0 for y in ys {
    z ~ categorical([[0.6, 0.4, 0], [0.1, 0.2, 0.7], [0.3, 0, 0.7]][z])
    observe y ~ normal(m * [1, -0.5, 2][z], s)
    return z
  }
  for w in ws { b ~ bernoulli(0.35); observe w ~ normal(if b { m } else { 1 }, 1.3) }
  factor [0.4, -1.1, 0][z0] * m
  g ~ normal(m, 2)
}

# supports, branches and laws that depend on what was drawn before; data that forbid a part
model branches(y: real) {
  k ~ categorical([0.2, 0.5, 0.3])
  top ~ weibull(2, 1)
  x ~ uniform(0, top)
  e ~ if k == 1 { normal(x, 0.5) } else { return 0.3 }
  v ~ for i in range(3) { uniform(0, 1 + k) }
  condition e < 1.4
  observe y ~ normal(e + v[2], 0.6)
  return e
}
""")
YS, WS, G = [0.4, -1.2, 0.9], [0.2, 1.7, 0.6], 0.8
PROGRAM = MODELS.chain(ys=YS, ws=WS).given(g=G)
MOVE = [[0.6, 0.4, 0], [0.1, 0.2, 0.7], [0.3, 0, 0.7]]


def log_normal(x, m, s):
    return -0.5 * ((x - m) / s) ** 2 - math.log(s) - 0.5 * math.log(2 * math.pi)


def by_hand(s, m, t):
    """The sum over all histories of prior times likelihood to the power of t; dlog s = 1."""
    total = 0.0
    for z0, *zs in itertools.product(range(3), repeat=4):
        for bs in itertools.product((0, 1), repeat=3):
            prior = [0.5, 0.2, 0.3][z0] * math.prod([0.65, 0.35][b] for b in bs)
            score = [0.4, -1.1, 0][z0] * m + log_normal(G, m, 2)
            for before, z, y in zip((z0, *zs), zs, YS, strict=False):
                prior *= MOVE[before][z]
                score += log_normal(y, m * [1, -0.5, 2][z], s)
            score += sum(log_normal(w, m if b else 1, 1.3) for w, b in zip(WS, bs, strict=True))
            total += prior * math.exp(t * score)
    outside = gamma.logpdf(s, 2, scale=1 / 1.5) + math.log(s) + log_normal(m, 0.3, 2)
    return outside + math.log(total)


@pytest.fixture(scope="module")
def tempered():
    density = PROGRAM.density
    position = {"s": math.log(0.7), "m": -0.9}
    with precision():
        of_t = lambda t: density.tempered(PROGRAM.data, position, t)  # noqa: E731
        both = jax.jit(jax.value_and_grad(of_t))
        yield lambda t: tuple(map(float, both(t)))


@pytest.mark.parametrize("t", [0.0, 0.15, 0.6, 1.0])
def test_likelihoods_are_powered_before_finite_sites_are_summed(tempered, t):
    value, slope = tempered(t)
    assert value == pytest.approx(by_hand(0.7, -0.9, t), abs=1e-12)
    h = 1e-5
    numeric = (by_hand(0.7, -0.9, t + h) - by_hand(0.7, -0.9, t - h)) / (2 * h)
    assert slope == pytest.approx(numeric, abs=1e-7)
    if t == 1:
        position = {"s": math.log(0.7), "m": -0.9}
        with precision():
            plain = jax.jit(PROGRAM.density.log_density)(PROGRAM.data, position)
        assert value == pytest.approx(float(plain), abs=1e-12)


def test_what_is_impossible_has_mass_at_temperature_0_alone():
    target = MODELS.branches(y=0.4)
    # e is 2: forbidden if k is 1, and not made otherwise
    position = {"top": 1.0, "x": 0.2, "e/then": 2.0, "v": np.array([0.3, -0.6, 1.0])}
    with precision():
        run = jax.jit(
            jax.value_and_grad(lambda t: target.density.tempered(target.data, position, t))
        )
        at = {t: run(t) for t in (0.0, 1e-9, 0.5)}
    assert float(at[0.0][0]) - float(at[1e-9][0]) > 0.1
    assert all(np.isfinite(v) and np.isfinite(g) for v, g in at.values())


def test_starts_have_the_density_at_temperature_0():
    """E[r(u) / density(u)] = 1 for a density r, by 50,000 draws: |z| < 4.5, 7e-6 of false alarms;
    a share of 6 % of the mass would be seen to be missing."""
    target = MODELS.branches(y=0.4)
    density, n = target.density, 50_000

    def run(data, key):
        _, u, weights = density.starts(data, Key(key), n)
        log_p = jax.vmap(lambda p: density.tempered(data, p, 0.0))(u)
        return u, weights, log_p

    with precision():
        u, weights, log_p = jax.device_get(jax.jit(run)(target.data, jax.random.key(3)))
    assert {k: x.shape for k, x in u.items()} == {
        "top": (n,),
        "x": (n,),
        "e/then": (n,),
        "v": (n, 3),
    }
    assert np.all(weights == 0)
    flat = np.concatenate([np.reshape(u[s.path], (n, -1)) for s in density.sites], axis=1)
    centre, scale = flat.mean(axis=0), 0.75 * flat.std(axis=0)
    ratio = np.exp(norm.logpdf(flat, centre, scale).sum(axis=1) - log_p)
    se = ratio.std(ddof=1) / math.sqrt(n)
    assert 4.5 * se < 0.06
    assert abs(ratio.mean() - 1) < 4.5 * se


def test_starts_are_the_values_drawn_whatever_the_coordinates():
    source = """
    model m(y: real) {
      mu ~ normal(1, 2)
      tau ~ half_normal(2)
      theta ~ for i in range(3) { logistic(mu, tau) }
      p ~ uniform(-tau, mu^2)
      observe y ~ normal(theta[1], 1)
    }"""
    target = ppl.compile(source).m(y=0.4)
    found = {}

    @partial(jax.jit, static_argnums=0)
    def run(density, data, key):
        _, u, _ = density.starts(data, Key(key), 5)
        made = jax.vmap(lambda p: density.constrain(data, p, key))(u)
        return u, {k: made[k].data for k in ("mu", "tau", "theta", "p")}

    with precision():
        for names in ((), ("theta",)):
            density = target.bound.density(target.data, frozenset(names))
            u, found[names] = jax.device_get(run(density, target.data, jax.random.key(4)))
        assert not np.allclose(u["theta"], found["theta",]["theta"])
    for name, values in found[()].items():
        np.testing.assert_allclose(found["theta",][name], values, rtol=1e-12)
