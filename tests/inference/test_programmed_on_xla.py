"""Kernels that users write, compiled: proposals by programs and involutions, exactly by tapes where
choices are finite, and by Jacobians where they are not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import gamma, norm

import ppl
from ppl import kernels
from ppl.inference.kernels.xla import involution, proposing
from ppl.inference.kernels.xla.compose import compose
from ppl.inference.kernels.xla.move import Target
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.mixed import mixed_density
from ppl.verify import Posterior, check
from tests.verify.suite.compiled import kernel as finite

pytestmark = pytest.mark.usefixtures("quick_compilation")

MODELS = ppl.compile("""
# a score that depends on all; elements of a loop; a law that depends on what is proposed
model finite() {
  n ~ categorical([0.5, 0.2, 0.3])
  last ~ bernoulli([0.15, 0.6, 0.45][n])
  ms ~ for i in range(2) { m ~ categorical([[0.2, 0.8, 0], [0.5, 0.1, 0.4], [0.3, 0.3, 0.4]][n]); return m }
  factor log(0.3 + n * (if last { 0.7 } else { 0.2 }) + ms[0] * ms[1] + 0.4 * ms[1])
}
model jump(now: {n: nat, last: bool}, old_ms: [nat], odds: prob) {
  n ~ categorical(if now.last { [0.8 * odds, 0.2 * odds, 1 - odds] } else { [[0.2, 0.5, 0.3], [0.4, 0.6, 0], [0.25, 0.25, 0.5]][now.n] })
  ms ~ for m in old_ms { m ~ categorical([[0.2, 0.5, 0.3], [0.4, 0.6, 0], [0.25, 0.25, 0.5]][m]); return m }
}
model flips() { c ~ bernoulli(0.3); d ~ categorical([0.5, 0.2, 0.3]) }

# supports that depend on other sites
model real_ones(y: [real]) {
  s ~ gamma(2, 3)
  x ~ uniform(0, s)
  k ~ categorical([0.2, 0.5, 0.3])
  observe y ~ normal(x * k, s)
}
model scale(old_s: pos, x: real, width: pos) { s ~ lognormal(log(old_s) + 0.1 * x, width) }
model factors() { f ~ lognormal(0.2, 0.7); lost ~ bernoulli(0.4) }

model halves(y: real) { two ~ bernoulli(0.4); x ~ if two { a ~ normal(0, 1); return a } else { return 0.0 }; observe y ~ normal(x, 1) }
model width(two: bool) { u ~ if two { return 0.0 } else { w ~ normal(0, 1); return w } }
model strange() { m ~ bernoulli(0.5) }
model scoring() { n ~ categorical([0.2, 0.5, 0.3]); factor 0.4 }
model longer() { ms ~ for i in range(3) { m ~ categorical([0.5, 0.2, 0.3]); return m } }
""")


def turned(x, u):
    """`n` goes to the other side of `d`, whose law does not care, if `c` says so."""
    n = jnp.where(u["c"], (2 * u["d"] - x["n"]) % 3, x["n"])
    return {**x, "n": n}, u


FINITE = {
    "proposal": kernels.proposal(MODELS.jump, odds=0.25).then(kernels.gibbs().on("last")),
    "involution": kernels.involution(turned, MODELS.flips).then(kernels.gibbs().on("last", "ms")),
}


@pytest.mark.parametrize("name", FINITE)
def test_the_posterior_is_invariant_by_tapes(name):
    """What keeps its value, `last`, has another law after the proposal."""
    verdict = check(finite(FINITE[name])(None), MODELS.finite(), Posterior(), level="exact")
    assert verdict.ok, verdict
    assert verdict.report.paths > 1_000


# ------------------------------------------------------------------------------ ratios, by hand

Y = [0.4, -0.3, 1.1]


def joint(s, x, k):
    """log of the joint density of `real_ones`, of values."""
    prior = gamma.logpdf(s, 2, scale=1 / 3) - np.log(s) + np.log([0.2, 0.5, 0.3][k])
    return prior + norm.logpdf(Y, x * k, s).sum()


def moved(monkeypatch, module, kernel, values, seeds):
    """What steps propose to move values s, x, k to, and the log ratios."""
    right = module.metropolis
    with precision("double"):
        target = MODELS.real_ones(y=Y)
        density = mixed_density(target.bound, target.data, None)
        on, (s, x, k) = Target(density, target.data), values
        position = {"s": np.log(s), "x": np.log(x / (s - x)), "k": k}
        move = compose(kernel, density, 0, part=True)

        @jax.jit
        def step(z, k, seed):
            found = []

            def noting(point, proposed, log_ratio, omega, path):
                found.append((proposed, log_ratio))
                return right(point, proposed, log_ratio, omega, path)

            monkeypatch.setattr(module, "metropolis", noting)
            move.step(on, on.point(z, k), (), Key(jax.random.key(seed)), False)
            ((proposed, log_ratio),) = found
            now = density.in_values.named(target.data, on.position(proposed.z, proposed.k))
            return [now[name].data for name in "sxk"], log_ratio

        z, k = density.flatten(position), density.flatten_discrete(position)
        steps = [step(z, k, seed) for seed in seeds]
    monkeypatch.setattr(module, "metropolis", right)
    return [(tuple(v.item() for v in after), float(log_ratio)) for after, log_ratio in steps]


def test_the_ratio_of_a_proposal_is_that_by_hand(monkeypatch):
    """`x`, below `s`, keeps its place there: its coordinate."""

    def q(to, s, x):
        return norm.logpdf(np.log(to), np.log(s) + 0.1 * x, 0.3) - np.log(to)

    def by_hand(now, then):
        # the density of s and of the coordinate of x: dx/dz is s times what does not change
        at = [joint(*v) + np.log(v[0]) for v in (now, then)]
        return at[1] - at[0] + q(now[0], *then[:2]) - q(then[0], *now[:2])

    now, kernel = (0.7, 0.25, 2), kernels.proposal(MODELS.scale, width=0.3)
    ((then, found),) = moved(monkeypatch, proposing, kernel, now, [3])
    assert then[2] == 2 and then[1] / then[0] == pytest.approx(0.25 / 0.7) and then[0] != 0.7
    assert found == pytest.approx(by_hand(now, then), abs=1e-10)
    # so that the density of proposing the way back, omitted (WebPPL), would be missed
    assert abs(q(now[0], *then[:2])) > 0.01


def scaled(x, u):
    """It comes back, unless `lost`."""
    f = u["f"]
    return {**x, "s": x["s"] * f, "x": x["x"] * f}, {**u, "f": jnp.where(u["lost"], f, 1 / f)}


def test_the_ratio_of_an_involution_is_that_of_green_and_what_does_not_come_back_stays(monkeypatch):
    now, kernel = (0.7, 0.25, 1), kernels.involution(scaled, MODELS.factors)
    kept = lost = 0
    for then, found in moved(monkeypatch, involution, kernel, now, range(6)):
        f = then[0] / now[0]
        assert abs(f - 1) > 0.01 and then[1] == pytest.approx(f * now[1])
        if found == -np.inf:
            lost += 1
            continue
        q = [norm.logpdf(np.log(v), 0.2, 0.7) - np.log(v) for v in (f, 1 / f)]
        # |d(s f, x f, 1/f) / d(s, x, f)| = f f / f^2
        assert found == pytest.approx(joint(*then) - joint(*now) + q[1] - q[0], abs=1e-10)
        kept += 1
    assert kept > 0 and lost > 0


# ------------------------------------------------------------------------------------- refusals

REFUSED = {
    "no site": (kernels.proposal(MODELS.strange), "E866.*no site"),
    "another size": (kernels.proposal(MODELS.longer), r"E866.*array \(3,\)"),
    "scores": (kernels.proposal(MODELS.scoring), "E866.*scores"),
    "restricted": (kernels.proposal(MODELS.jump, odds=0.2).on("n"), "E811"),
    "unknown data": (kernels.proposal(MODELS.jump, odds=0.2, other=1), "E601"),
    "unknown value": (kernels.proposal(MODELS.scale, width=1.0), "E855"),
    "lost": (kernels.involution(lambda x, u: ({"n": x["n"]}, u)), "E867.*loses"),
    "no mappings": (kernels.involution(lambda x, u: 3), "E867"),
    "untraceable": (kernels.involution(lambda x, u: (x, u) if x["last"] else (x, u)), "E879"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_user_does_wrong_is_said_before_anything_runs(name):
    kernel, says = REFUSED[name]
    target = MODELS.finite()
    with precision("double"):
        density = mixed_density(target.bound, target.data, None)
        with pytest.raises(DiagnosticError, match=says):
            compose(kernel, density, 0, part=True)


def test_traces_whose_sites_differ_are_the_machines():
    def jump(x, u):
        if x["two"]:
            return {"two": False}, {"u/else/w": x["x/then/a"]}
        return {"two": True, "x/then/a": u["u/else/w"]}, {}

    kernel = kernels.involution(jump, MODELS.width)
    method = ppl.mcmc(kernel=kernel, chains=1, draws=20, warmup=0)
    found = ppl.infer(MODELS.halves(y=0.3), method, progress=False)
    assert [r.code for r in found.remarks if r.code == "W717"] and found["two"].any()
