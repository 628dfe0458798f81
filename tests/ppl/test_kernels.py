"""`ppl.mcmc(kernel=…)` on XLA: what it draws, what it says of it, and what it refuses."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

import ppl
from ppl import kernels
from ppl.kernel_text import read_kernel
from ppl.methods import method_named

pytestmark = pytest.mark.usefixtures("quick_compilation")

MODELS = ppl.compile("""
model counts(ys: [nat], p: prob) {
  rate ~ gamma(2, 1)
  n ~ poisson(rate)
  ks ~ for y in ys { k ~ categorical([0.2, 0.5, 0.3]); observe y ~ binomial(n + 2, p * [0.3, 0.6, 1][k]); return k }
  return n + sum(ks)
}
model scales(ys: [real]) {
  mu ~ normal(0, 1)
  tau ~ half_cauchy(1)
  theta ~ for y in ys { normal(mu, tau) }
  for (t, y) in zip(theta, ys) { observe y ~ normal(t, 1) }
  return theta
}
model mixed(y: real) {
  k ~ categorical([0.2, 0.5, 0.3])
  x ~ normal([-1, 0.5, 3][k], 1)
  observe y ~ normal(x, 1)
  return x
}
model impossible(y: bool) {
  k ~ bernoulli(0.3)
  condition k and not k
  return k
}
model shares(n: [nat]) {
  p ~ dirichlet([1, 2, 3])
  k ~ multinomial(30, p)
  observe n ~ multinomial(9, [1 / 3, 1 / 3, 1 / 3])
  return k
}
model grows(n: nat) {
  k ~ geometric(0.5)
  xs ~ for _ in range(k) { normal(0, 1) }
  return sum(xs)
}
""")
COUNTS = MODELS.counts(ys=[1, 0, 2], p=0.7)
SCALES = MODELS.scales(ys=[0.3, 1.9, -0.4])
MIXED = MODELS.mixed(y=0.4)
SHARES = MODELS.shares(n=[2, 3, 4])
WALK, GIBBS = kernels.random_walk(), kernels.gibbs()


def refusal(target, kernel, **more) -> ppl.Diagnostic:
    with pytest.raises(ppl.DiagnosticError) as raised:
        ppl.infer(target, ppl.mcmc(kernel=kernel), progress=False, **more)
    (problem,) = raised.value.diagnostics
    return problem


def test_draws_settings_and_statistics(monkeypatch):
    steps, seen = [], []

    def report(done, total, info):
        steps.append((done, total))
        seen.append(info)

    told = nullcontext(report)
    monkeypatch.setattr("ppl.sampling.progress_bar", lambda *_, **__: told)
    kernel = WALK.on("rate", "n").then(GIBBS.on("ks[1:]")).then(WALK.on("ks[0]"))
    method = ppl.mcmc(kernel=kernel, chains=2, draws=60, warmup=40, thin=2)
    posterior = ppl.infer(COUNTS, method, seed=2, progress=False)
    assert posterior.shape == (2, 60) and steps[-1] == (320, 320)
    shown = [float(info["acceptance"]) for info in seen if "acceptance" in info]
    assert shown and all(0 < share < 1 for share in shown)
    n, ks = posterior["n"], posterior["ks"]
    assert n.dtype.kind == "i" and ks.shape == (2, 60, 3)
    assert set(np.unique(ks)) <= {0, 1, 2} and np.array_equal(posterior.result, n + ks.sum(-1))
    assert np.all(n.std(axis=1) > 0) and np.all(ks.std(axis=1) > 0)
    assert posterior.settings["kernel"] == (
        "random_walk().on('rate', 'n').then(gibbs().on('ks[1:]')).then(random_walk().on('ks[0]'))"
    )
    rates = {name for name in posterior.stats if name.startswith("acceptance_rate")}
    sites = ("rate", "n", "ks/k")
    assert rates == {"acceptance_rate"} | {
        f"acceptance_rate of {name}" for name in ("gibbs", "random_walk", "random_walk_2", *sites)
    }
    moved = posterior.stats["acceptance_rate of rate"][:, 1:] > 0
    assert np.array_equal(moved, np.diff(posterior["rate"]) != 0) and 0 < moved.mean() < 1
    thirds = 6 * posterior.stats["acceptance_rate of ks/k"]  # of three elements, in two steps
    assert np.allclose(thirds, np.round(thirds)) and len(np.unique(np.round(thirds))) > 4
    shares = np.unique(posterior.stats["acceptance_rate of random_walk_2"])
    assert np.array_equal(shares, [0, 0.5, 1]), "of the two steps since the draw before"
    assert len(np.unique(posterior.stats["scale of random_walk"])) == 2, "fixed after warm-up"
    assert "W897" not in {w.code for w in posterior.warnings}
    still = np.where(np.arange(60) % 10 == 0, np.nan, [[0.0], [0.5]])
    stuck = replace(posterior, stats={**posterior.stats, "acceptance_rate of gibbs": still})
    assert [w.message for w in stuck.warnings if w.code == "W897"] == [
        "no move of gibbs was accepted after warm-up in 1 of 2 chains (0)"
    ]
    again = ppl.infer(COUNTS, method, seed=2, progress=False)
    assert np.array_equal(again["rate"], posterior["rate"])


@pytest.mark.parametrize(
    ("target", "kernel", "code", "words"),
    [
        (COUNTS, WALK.on("rates"), "E855", "did you mean `rate`"),
        (COUNTS, WALK.then(GIBBS.on("ks[3]")), "E855", "`ks[3]`"),
        (COUNTS, kernels.hmc().on("rate", "n"), "E819", "`hmc` cannot move `n`"),
        (COUNTS, WALK.then(GIBBS.on("ks", "n")), "E819", "`gibbs` cannot move `n`"),
        (COUNTS, GIBBS.on("rate"), "E819", "`gibbs` cannot move `rate`"),
        (COUNTS, kernels.mala(), "E863", "never moves `ks/k` and `n`"),
        (COUNTS, WALK.on("n").then(GIBBS.on("ks")), "E863", "never moves `rate`"),
        (COUNTS, WALK.on("n", "rate"), "E863", "never moves `ks/k`"),  # its choices are coupled
        (SCALES, GIBBS.then(WALK), "E819", "nothing that `gibbs` could move"),
        (SCALES, kernels.elliptical_slice(), "E862", "`tau` has no Gaussian prior"),
        (SCALES, WALK.then(kernels.elliptical_slice().on("theta[1]")), "E819", "all elements"),
        (MIXED, kernels.prior().on("x"), "E862", "hold `k` by naming it"),
        (MIXED, kernels.elliptical_slice().on("x"), "E862", "hold `k` by naming it"),
        (SHARES, WALK, "E863", 'kernels.prior().on("k")'),
        (SHARES, WALK.on("k", "p"), "E819", "do not move alone"),
        (MODELS.impossible(y=True), GIBBS, "E810", "nowhere to start"),
    ],
    ids=lambda x: str(x) if isinstance(x, str | kernels.Kernel) else "",
)
def test_what_a_kernel_cannot_do_is_said(target, kernel, code, words):
    problem = refusal(target, kernel)
    assert problem.code == code
    assert words in f"{problem.message} {problem.hint}", (problem.message, problem.hint)


def test_engines():
    """Kernels that XLA has run there, unless the program or the user wants the machine."""
    with pytest.raises(ppl.DiagnosticError, match="E716"):
        ppl.infer(COUNTS, ppl.mcmc(), engine="xla", progress=False)
    assert refusal(SCALES, kernels.hmc(), engine="machine").code == "E716"
    one = ppl.mcmc(kernel=kernels.prior(), chains=1, draws=20, warmup=0)
    assert "lp" not in ppl.infer(MODELS.grows(n=1), one, progress=False).stats
    assert "lp" not in ppl.infer(COUNTS, one, engine="machine", progress=False).stats


@pytest.mark.parametrize(
    "make",
    [
        lambda: kernels.random_walk(scale=0.0),
        lambda: kernels.slice(width=-1.0),
        lambda: kernels.slice(steps=0),
        lambda: kernels.slice(direction="up"),  # pyright: ignore[reportArgumentType]
        lambda: kernels.mala(step_size=float("inf")),
        lambda: kernels.hmc(target_accept=1.0),
        lambda: kernels.hmc(trajectory_length=0.0),
        lambda: kernels.nuts(max_tree_depth=0),
        lambda: kernels.prior(block=1),  # pyright: ignore[reportArgumentType]
        lambda: ppl.mcmc(kernel="gibbs"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_settings_are_checked(make):
    with pytest.raises(ppl.DiagnosticError, match="E811"):
        make()


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.mixture(
            kernels.random_walk(scale=0.3).on("a", "b").repeat(3), kernels.gibbs(), weights=(2, 1)
        ).then(kernels.hmc(step_size=0.1)),
        kernels.slice(direction="random").then(kernels.prior(block=True).on("x[1:]").repeat(2)),
        kernels.mixture(kernels.nuts(dense_mass=True), kernels.elliptical_slice()),
    ],
    ids=str,
)
def test_kernels_are_read_as_they_are_written(kernel):
    assert read_kernel(str(kernel)) == kernel
    assert method_named("mcmc", kernel=str(kernel)) == ppl.mcmc(kernel=kernel)


def test_kernels_are_written_as_in_python():
    kernel = kernels.random_walk(scale=0.3).on("a", "b").repeat(3).then(kernels.gibbs())
    assert str(kernel) == "random_walk(scale=0.3).on('a', 'b').repeat(3).then(gibbs())"


@pytest.mark.parametrize(
    "text",
    [
        "gibs()",
        "gibbs",
        "gibbs(",
        "gibbs().off('z')",
        "gibbs(width=2)",
        "gibbs().on(z)",
        "hmc(**{'step_size': 1})",
        "'z'.on('y')",
        "__import__('os').system('true')",
        "gibbs().__class__()",
        "(" * 500 + "gibbs()" + ")" * 500,
    ],
)
def test_texts_that_are_no_kernels(text):
    with pytest.raises(ppl.DiagnosticError, match="E811"):
        read_kernel(text)
