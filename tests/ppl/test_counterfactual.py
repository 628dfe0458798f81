"""Counterfactuals: closed forms of structural causal models, on both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError

ENGINES = ("xla", "machine")
MODELS = ppl.compile("""
model linear() {
  u ~ normal(0, 1)
  x ~ normal(0.7 * u, 0.5)
  z ~ normal(1.5 * x - 0.4 * u, 0.8)
  y ~ normal(u * x + 2 * z, 0.6)
  return y - x
}
model levels(ys: [real], ks: [nat]) {
  levels ~ scan level = 0.5 for (y, k) in zip(ys, ks) {
    level ~ normal(0.8 * level, 1)
    observe y ~ normal(2 * level, exp(level / 3))
    observe k ~ categorical_logit([0, level, 2 * level])
    return level
  }
  w ~ normal(0, [1.0, 2.0, 3.0])
  return levels
}
model loops(n: nat) {
  a ~ for i in range(n) { x ~ normal(i, 1); return 2 * x }
  xs ~ scan s = 0.0 for i in range(n) { x ~ normal(0.5 * s, 1 + i); return x }
  y ~ normal(a[0] - a[2] + 3 * xs[1] + sum(xs), 0.5)
  return y
}
model finite() {
  u ~ categorical([0.2, 0.5, 0.3])
  x ~ categorical([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.25, 0.25, 0.5]][u])
  z ~ categorical([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.1, 0.3, 0.6]][x])
  y ~ bernoulli((1 + u + 2 * z) / 8)
  return (x, y)
}
model waiting() {
  p ~ categorical([0.5, 0.3, 0.2])
  n ~ iterate k = 0 until k >= 4 { s ~ bernoulli((1 + p) / 4); return k + (if s { 2 } else { 1 }) }
  y ~ normal(n, 0.5)
  return n
}
model rough(k: nat) {
  a ~ categorical([0.2, 0.5, 0.3])
  g ~ binomial(3, (1 + a) / 5)
  b ~ if a == 2 { e ~ bernoulli(0.3); return e } else { return false }
  observe k ~ binomial(4, (1 + g) / 6)
  factor -a / 2
  condition a < 2
  return b
}
""")
LINEAR, FINITE = MODELS.linear(), MODELS.finite()
SEEN = {"x": 0, "z": 0, "y": False}
FEW = ppl.importance(particles=3)


def imagine(target: ppl.Target, evidence: Any, **settings: Any) -> ppl.Posterior:
    return ppl.counterfactual(target, evidence, progress=False, **settings)


# ------------------------------------------------------------------------------- continuous laws


def test_a_unit_that_is_seen_whole_is_determined():
    seen = {"u": 0.3, "x": 1.0, "z": 0.5, "y": 2.0}
    found = imagine(LINEAR, seen, do={"x": 2.0}, method=FEW, engine="machine")
    z = 1.5 * 2.0 - 0.4 * 0.3 + (0.5 - (1.5 * 1.0 - 0.4 * 0.3))
    y = 0.3 * 2.0 + 2 * z + (2.0 - (0.3 * 1.0 + 2 * 0.5))
    for name, value in {"u": 0.3, "x": 2.0, "z": z, "y": y, "result": y - 2.0}.items():
        assert np.allclose(found[name], value, rtol=0, atol=1e-12), name
    same = imagine(LINEAR, seen, do={"x": 1.0}, method=FEW, engine="machine")
    assert all((same[name] == value).all() for name, value in seen.items())


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("engine", ENGINES)
def test_all_of_a_loop_is_set(engine: str):
    """Of a unit that is seen whole: y moves by what its mean moves by."""
    a, x, y = np.array([0.4, -1.0, 0.7]), np.array([0.2, 0.5, -0.3]), 1.7
    b, z = np.array([0.5, 4.0, -3.0]), np.array([1.0, 1.0, 1.0])

    def mean(a: Any, x: Any) -> float:
        return 2 * a[0] - 2 * a[2] + 3 * x[1] + sum(x)

    seen, settings = {"a/x": a, "xs/x": x, "y": y}, {"a": list(2 * b), "xs/x[:]": 1.0}
    found = imagine(MODELS.loops(n=3), seen, do=settings, method=FEW, engine=engine)
    assert found["y"] == pytest.approx(np.full((1, 3), y + mean(b, z) - mean(a, x)), abs=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_not_seen_keeps_its_posterior(engine: str):
    """Given x and y, u is Gaussian; y moves by (u + 3) times what x moves by.

    Five standard errors of the weighted mean and variance: a false alarm in about a million runs;
    the seeds are fixed.
    """
    seen, x = {"x": 1.0, "y": 2.0}, -0.5
    method = ppl.importance(particles=20_000 if engine == "xla" else 1_000)
    found = imagine(LINEAR, seen, do={"x": x}, method=method, seed=4, engine=engine)
    u, y = found["u"].ravel(), found["y"].ravel()
    assert np.allclose(y, 2.0 + (u + 3) * (x - 1.0), rtol=0, atol=1e-9)
    # x = 0.7 u + 0.5 e1;  y = u + 2 (1.5 - 0.4 u + 0.8 e2) + 0.6 e3 at x = 1
    noise = (2 * 0.8) ** 2 + 0.6**2
    precision = 1 + 0.7**2 / 0.5**2 + (1 - 0.8) ** 2 / noise
    mean = (0.7 * 1.0 / 0.5**2 + (1 - 0.8) * (2.0 - 3.0) / noise) / precision
    w, size = found.weights.ravel(), found.effective_sample_size
    assert size > 0.1 * method.particles
    expected, sd = 2.0 + (mean + 3) * (x - 1.0), abs(x - 1.0) / np.sqrt(precision)
    assert abs(w @ y - expected) < 5 * sd / np.sqrt(size)
    assert abs(w @ (y - expected) ** 2 - sd**2) < 5 * sd**2 * np.sqrt(2 / size)
    same = imagine(LINEAR, seen, do={"x": 1.0}, method=method, seed=4, engine=engine)
    assert (same["y"] == 2.0).all() and (same["x"] == 1.0).all()
    assert np.array_equal(same["u"], found["u"])


@pytest.mark.parametrize("engine", ENGINES)
def test_interventions_go_on_through_loops_and_reach_the_data(engine: str):
    """w[1] is set in both worlds, w[0] and a level in the imagined one."""
    ys, ks = [1.0, -0.5, 0.25, 2.0], [0, 2, 1, 2]
    target = MODELS.levels(ys=ys, ks=ks).do({"w[1]": 3.0})
    seen = np.array([0.2, -0.7, 0.6, 1.1])
    done = {"levels/level[1]": 0.9, "w[0]": 4.0}
    found = imagine(target, {"levels/level": seen}, do=done, method=FEW, engine=engine)
    noise = seen - 0.8 * np.array([0.5, *seen[:-1]])
    levels = seen.copy()
    levels[1] = 0.9
    for t in (2, 3):
        levels[t] = 0.8 * levels[t - 1] + noise[t]
    assert np.allclose(found["levels"], levels, rtol=0, atol=1e-12)
    again = 2 * levels + np.exp((levels - seen) / 3) * (np.array(ys) - 2 * seen)
    assert np.allclose(found["ys"], again, rtol=0, atol=1e-12)
    assert found["ys"].shape == (1, 3, 4)
    assert np.array_equal(np.unique(found["w"][..., :2].reshape(-1, 2), axis=0), [[4.0, 3.0]])
    assert np.array_equal(found["w"][..., 2], before_w(target, seen, engine))
    assert (found["ks"][..., 0] == 0).all(), "nothing before the intervention moves"
    # the largest of three stays so where its logit rises the most
    assert levels[1] > seen[1] and (found["ks"][..., 1] == 2).all()
    start = "levels.do(w[1]=3.).given(levels/level=[ 0.2, -0.7,  0.6,  1.1])"
    assert found.model == f"{start}.counterfactual(levels/level[1]=0.9, w[0]=4.)"


def before_w(target: ppl.Target, seen: np.ndarray, engine: str) -> np.ndarray:
    """w[2] as it was: nothing that is set has to do with it."""
    factual = target.given({"levels/level": seen})
    return ppl.infer(factual, FEW, progress=False, engine=engine)["w"][..., 2]


# --------------------------------------------------------------------------------- discrete laws


def masses(found: ppl.Posterior) -> dict[tuple[int, ...], float]:
    out: dict[tuple[int, ...], float] = {}
    rows = np.stack([found[name].ravel() for name in "uxzy"], axis=1).astype(int)
    for row, w in zip(rows, found.weights.ravel(), strict=True):
        out[tuple(row)] = out.get(tuple(row), 0.0) + float(w)
    return out


def check_law(found: ppl.Posterior, expected: dict[tuple[int, ...], float]) -> None:
    """Every probability within 5.5 binomial standard errors (at the effective sample size): over
    all the comparisons here a false alarm in about a hundred thousand runs; seeds are fixed."""
    observed, n = masses(found), found.effective_sample_size
    assert observed.keys() <= expected.keys()
    for key, p in expected.items():
        error = np.sqrt(max(p * (1 - p), 1 / n) / n)
        assert abs(observed.get(key, 0.0) - p) < 5.5 * error, (key, p, observed.get(key))


@pytest.mark.parametrize("engine", ENGINES)
def test_without_evidence_it_is_the_intervention(engine: str):
    expected = masses(ppl.infer(FINITE.do(z=2), "exact", engine="machine"))
    check_law(imagine(FINITE, {}, do={"z": 2}, method="exact", seed=1, engine=engine), expected)
    if engine == "machine":  # what is set has more to do with the rest
        expected = masses(ppl.infer(FINITE.do(x=2), "exact", engine="machine"))
        check_law(imagine(FINITE, {}, do={"x": 2}, method="exact", engine=engine), expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_setting_what_was_seen_changes_nothing(engine: str):
    """Exactly: choices whose parameters are the same keep their values."""
    seen = masses(ppl.infer(FINITE.given(SEEN), "exact", engine="machine"))
    found = masses(imagine(FINITE, SEEN, do={"z": 0}, method="exact", engine=engine))
    assert found.keys() == seen.keys()
    assert all(found[k] == pytest.approx(p, abs=1e-12) for k, p in seen.items())


@pytest.mark.parametrize("engine", ENGINES)
def test_what_would_have_been_of_categories(engine: str):
    """A Bernoulli's two Gumbels couple it by quantiles: true stays true where p rises, and false
    becomes true with probability (q - p) / (1 - p). Here z is set, so only y moves."""
    p_u = [0.2, 0.5, 0.3]
    p_x = [[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.25, 0.25, 0.5]]
    weights = [p_u[u] * p_x[u][0] * 0.7 * (1 - (1 + u) / 8) for u in range(3)]
    expected = {}
    for u, w in enumerate(weights):
        p, q = (1 + u) / 8, (1 + u + 4) / 8
        rises = (q - p) / (1 - p)
        expected[u, 0, 2, 1] = w / sum(weights) * rises
        expected[u, 0, 2, 0] = w / sum(weights) * (1 - rises)
    check_law(imagine(FINITE, SEEN, do={"z": 2}, method="exact", seed=5, engine=engine), expected)


# --------------------------------------------------------------- what is not determined, branches


@pytest.mark.parametrize("engine", ENGINES)
def test_without_a_noise_map_parameters_must_stay(engine: str):
    target = MODELS.rough(k=3)
    with pytest.raises(DiagnosticError, match="E725.*`g` differs.*`binomial`"):
        imagine(target, {"g": 1}, do={"a": 2}, method="exact", engine=engine)
    # with `g` set as it was, no such law changes. Scores and conditions count in the world as it
    # was alone, and a choice that was not made there is drawn
    found = imagine(target, {"g": 1}, do={"a": 2, "g": 1}, method="exact", engine=engine)
    assert (found["k"] == 3).all() and (found["g"] == 1).all() and (found["a"] == 2).all()
    assert np.array_equal(found["b"], found["b/then/e"])
    # 5.5 standard errors: a false alarm in about 10^7 runs
    n = found.effective_sample_size
    assert abs(found.summary()["b/then/e", "mean"] - 0.3) < 5.5 * np.sqrt(0.21 / n)


def test_choices_in_loops_without_a_bound_keep_their_noise():
    """On the machine, unless XLA is asked for; a step more is drawn. More successes end sooner."""
    target = MODELS.waiting()
    method = ppl.importance(particles=200)
    seen = ppl.infer(target.given(y=4.5, p=0), method, progress=False, engine="machine", seed=2)
    found = imagine(target, {"y": 4.5, "p": 0}, do={"p": 2}, method=method, seed=2)
    assert np.allclose(found["y"] - found["n"], 4.5 - seen["n"], rtol=0, atol=1e-12)
    before, after = (np.nan_to_num(f["n/s[0]"]) for f in (seen, found))
    assert (after >= before).all() and (after > before).any()
    with pytest.raises(DiagnosticError, match="E859"):
        imagine(target, {"y": 4.5}, do={"p": 2}, method=method, engine="xla")


def test_refusals():
    with pytest.raises(DiagnosticError, match="E817"):
        ppl.counterfactual(MODELS.linear, {}, do={"x": 1})  # pyright: ignore[reportArgumentType]
    with pytest.raises(DiagnosticError, match="E855"):
        imagine(LINEAR, {}, do={"xx": 1})
    with pytest.raises(DiagnosticError, match="E858"):
        imagine(MODELS.rough(k=1), {"b": True}, do={"a": 1})
