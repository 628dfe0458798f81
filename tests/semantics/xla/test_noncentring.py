"""Non-centring is a change of coordinates: the same measure, x = location + scale * u."""

import jax
import numpy as np
import pytest

import ppl
from ppl.semantics.precision import precision
from ppl.semantics.xla.sites import Free

SOURCE = """
model m(y: [real]) {
  mu ~ normal(0.5, 2)
  tau ~ half_normal(3)
  theta ~ for _ in y { student_t(4, mu, tau) }
  eta ~ normal(theta, 2 * tau)
  top ~ gumbel(mu, tau)
  for (t, yj) in zip(eta, y) { observe yj ~ normal(t + top, 0.7) }
  return theta
}"""
Y = np.array([1.5, -0.3, 0.8])


def densities(position, noncentred, jacobian=True):
    target = ppl.compile(SOURCE).m(y=Y)
    free = Free(jacobian, frozenset(noncentred))
    with precision():
        run = jax.jit(lambda data, p: target.bound.log_density(data, p, free))
        return float(run(target.data, position))


@pytest.mark.parametrize("jacobian", [True, False])
def test_the_density_changes_by_the_jacobian_alone(jacobian):
    rng = np.random.default_rng(2)
    u = {"mu": 0.3, "tau": -0.4, "theta": rng.normal(size=3), "eta": rng.normal(size=3), "top": 0.9}
    u = {k: np.asarray(v, float) for k, v in u.items()}
    tau = np.exp(u["tau"])
    x = dict(u)
    x["theta"] = u["mu"] + tau * u["theta"]
    x["eta"] = x["theta"] + 2 * tau * u["eta"]
    x["top"] = u["mu"] + tau * u["top"]
    log_scales = 3 * np.log(tau) + 3 * np.log(2 * tau) + np.log(tau)
    got = densities(u, ("theta", "eta", "top"), jacobian)
    want = densities(x, (), jacobian) + (log_scales if jacobian else 0.0)
    assert got == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize(("name", "code"), [("thteta", "E808"), ("tau", "E809")])
def test_a_site_that_cannot_be_non_centred_is_refused(name, code):
    target = ppl.compile(SOURCE).m(y=Y)
    with pytest.raises(ppl.DiagnosticError, match=code):
        ppl.infer(target, ppl.nuts(noncenter=(name,), warmup=1, draws=1), progress=False)
