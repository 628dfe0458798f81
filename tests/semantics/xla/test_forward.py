"""Running forward: weights, names, data that stay data, one compilation for data of one shape."""

import jax
import numpy as np
import pytest

import ppl
from ppl.inference import importance
from ppl.semantics.diagnostics import DiagnosticError
from tests.semantics.xla.running import target

SIZED = """
model m(n: nat, ys: [real], p: prob, t: text) {
  z ~ for i in range(n) { bernoulli(p) }
  s ~ fold s = 0.0 for (i, y) in enumerate(ys) { e ~ normal(y, 1)
    return if t == "sum" { s + e } else { e } }
  for y in ys { observe y ~ normal(s, 1) }
  return (z, s)
}"""


def test_data_of_equal_sizes_do_not_compile_again():
    model = ppl.compile(SIZED).m
    method = ppl.importance(particles=64)

    def compiled(**data):
        before = len(programs)
        ppl.infer(model(**data), method, progress=False)
        return len(programs) - before

    programs: list[str] = []

    def listen(name: str, _: float, **__: object) -> None:
        if name == "/jax/core/compile/jaxpr_trace_duration":
            programs.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        first = compiled(n=3, ys=[1.0, 2.0], p=0.3, t="sum")
        compiled(n=3, ys=[1.0, 2.0], p=0.3, t="sum")
        again = compiled(n=3, ys=[-4.0, 0.5], p=0.9, t="sum")
        assert first > 0 and again == 0
        assert compiled(n=4, ys=[-4.0, 0.5], p=0.9, t="sum") > 0
        assert compiled(n=3, ys=[-4.0, 0.5, 1.0], p=0.9, t="sum") > 0
        assert compiled(n=3, ys=[-4.0, 0.5], p=0.9, t="last") > 0
        assert len(model.variants._bounds) == 2, "only `n` is part of the code"
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_results_do_not_depend_on_how_many_blocks_one_call_runs(monkeypatch):
    t = target(SIZED, n=3, ys=[1.0, 2.0], p=0.3, t="sum")
    monkeypatch.setattr(importance, "BLOCK", 16)
    runs = []
    for blocks in (1, 3, 32):
        monkeypatch.setattr(importance, "BLOCKS_A_CALL", blocks)
        runs.append(ppl.infer(t, ppl.importance(particles=75), seed=3, progress=False))
    assert runs[0].log_weights.shape == (1, 75)
    for other in runs[1:]:
        np.testing.assert_array_equal(other["s/e"], runs[0]["s/e"])
        np.testing.assert_array_equal(other["z"], runs[0]["z"])
        np.testing.assert_array_equal(other.log_weights, runs[0].log_weights)
    different = ppl.infer(t, ppl.importance(particles=75), seed=4, progress=False)
    assert not np.array_equal(different["s/e"], runs[0]["s/e"])


def test_importance_weights_are_the_scores():
    found = ppl.infer(
        target(SIZED, n=3, ys=[1.0, -2.0], p=0.3, t="last"),
        ppl.importance(particles=64),
        progress=False,
    )
    s = found["s"]
    np.testing.assert_array_equal(s, found["s/e"][..., -1])
    want = sum(-((y - s) ** 2) / 2 - np.log(2 * np.pi) / 2 for y in (1.0, -2.0))
    np.testing.assert_allclose(found.log_weights, want, rtol=1e-12)


PREDICTED = """
model m(xs: [real], ys: [real]) {
  a ~ normal(0, 1)
  z ~ bernoulli(0.5)
  u ~ if z { v ~ normal(10, 1); return v } else { return 0 }
  b ~ for x in xs { normal(x, 1) }
  for (x, y, c) in zip(xs, ys, b) { observe y ~ normal(a * x + c + u, 0.001) }
  hs ~ scan h = a for y in ys { observe y ~ normal(h, 0.001); return h + 1 }
  return a
}"""


def test_prior_and_predictions_draw_the_observations():
    xs = np.array([1.0, 2.0, 4.0])
    model = ppl.compile(PREDICTED).m
    prior = ppl.prior(model(xs=xs, ys=np.zeros(3)), draws=20)
    assert sorted(prior.draws) == ["a", "b", "hs", "u", "u/then/v", "ys", "ys#2", "z"]
    a, u = prior["a"][..., None], prior["u"][..., None]
    np.testing.assert_allclose(prior["ys"], a * xs + prior["b"] + u, atol=0.008)
    np.testing.assert_allclose(prior["ys#2"], a + np.arange(3), atol=0.008)
    predicted = ppl.predict(prior, model(xs=xs, ys=np.zeros(3)))
    assert sorted(predicted.draws) == ["ys", "ys#2"]
    np.testing.assert_allclose(predicted["ys"], a * xs + prior["b"] + u, atol=0.008)
    more = np.array([1.0, 2.0, 4.0, 8.0])
    wider = ppl.predict(prior, model(xs=more, ys=np.zeros(4)))
    assert wider["ys"].shape == (1, 20, 4)
    np.testing.assert_allclose(wider["ys#2"], a + np.arange(4), atol=0.008)
    assert abs(np.mean(wider["ys"] - a * more - u - more)) < 1, (
        "new groups are drawn from the model"
    )


def test_single_precision_runs():
    from ppl.semantics.omega import Key
    from ppl.semantics.precision import precision
    from ppl.semantics.xla.program import particles

    model = ppl.compile(PREDICTED).m
    with precision("single"):
        t = model(xs=[1.0, 2.0, 4.0], ys=[0.5, 1.0, 1.5])
        axes = (particles(5),)
        run = jax.jit(lambda d, k: t.bound.forward(d, Key(k), axes)[:2])
        result, weight = run(t.data, jax.random.key(0))
        assert result.data.dtype == np.float32 and weight.data.dtype == np.float32
        position = {s.path: np.full(s.unconstrained_shape, 0.25) for s in t.density.sites}
        value, slope = jax.jit(jax.value_and_grad(t.density.log_density, 1))(t.data, position)
    assert value.dtype == np.float32 and np.isfinite(value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(slope))


REFUSED = {
    "no sampler": ("x ~ flat(); return x", "E801"),
    "chosen families inside another": ("c ~ bernoulli(0.5); x ~ truncate(if c { normal(0, 1) } else { cauchy(0, 1) }, 0); return x", "E705"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_drawn_is_refused(body, code):
    with pytest.raises(DiagnosticError) as error:
        ppl.prior(target(f"model m(a: real) {{ {body} }}", a=1.0), draws=2)
    (problem,) = error.value.diagnostics
    assert problem.code == code and problem.span is not None and problem.hint
