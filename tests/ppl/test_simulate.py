"""Simulation on the machine, limits of inference there, and what Ctrl-C leaves."""

from __future__ import annotations

import dataclasses
import functools
import time
from itertools import count

import numpy as np
import pytest
from click.testing import CliRunner

import ppl
from ppl.cli import main
from ppl.inference import mcmc
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey

MODELS = ppl.compile(
    """
type tree = Leaf(real) | Node(tree, tree)
fn grow(depth: nat) -> measure[tree] {
  split ~ bernoulli(0.4)
  if split and depth > 0 { l ~ grow(depth - 1); r ~ grow(depth - 1); return Node(l, r) }
  else { x ~ normal(0, 1); return Leaf(x) }
}
fn total(t: tree) -> real { match t { Leaf(x) => x, Node(l, r) => total(l) + total(r) } }
## Random structure, loops of sites, whole numbers that some executions do not have, inner inference.
model world(y: [real], z: real) {
  t ~ grow(2)
  ks ~ scan k = 0 for v in y { k ~ poisson(1 + k); return k }
  xs ~ for v in y {
    far ~ bernoulli(0.3)
    w ~ if far { n ~ binomial(20, 0.5); return n } else { iid(2, bernoulli(0.5)) ~> 0 }
    return w
  }
  guess ~ normalize({ a ~ normal(0, 3); observe 2 ~ normal(a, 1); return a }, importance(4))
  condition total(t) > -100
  factor -0.01 * total(t)^2
  for (v, k, x) in zip(y, ks, xs) { observe v ~ normal(100 * k + x, 0.001) }
  observe z ~ normal(total(t), 0.001)
  observe z ~ normal(guess, 0.001)
  return {total: total(t), ks, xs, guess}
}
fn forever(t: tree) -> measure[nat] { x ~ bernoulli(0.5); forever(Node(Leaf(0), Leaf(1))) }
model endless() { forever(Leaf(0)) }
model plain() { x ~ normal(0, 1); return x }
fn small(depth: nat) -> measure[tree] {
  split ~ bernoulli(0.5)
  if split and depth > 0 { l ~ small(depth - 1); r ~ small(depth - 1); return Node(l, r) }
  else { k ~ categorical([0.3, 0.7]); return Leaf(k + 1) }
}
model chosen_tree(y: real) {
  t ~ normalize(small(2), exact)
  observe y ~ normal(total(t), 0.001)
  return total(t)
}
""".replace("iid(2, bernoulli(0.5)) ~> 0", "bs ~ iid(2, bernoulli(0.5)); return count(bs)")
)
TARGET = MODELS.world(y=[300.0, 107.0, 212.0], z=0.3)
CLOSE = 0.006  # six standard deviations of the observations above


def predicts_its_choices(drawn) -> None:
    """Observations are where the choices of the same draws put them."""
    result = drawn.result
    assert np.allclose(drawn["y"], 100 * result["ks"] + result["xs"], atol=CLOSE)
    assert np.allclose(drawn["z"], result["total"], atol=CLOSE)
    assert np.allclose(drawn["z#2"], result["guess"], atol=CLOSE)


def test_the_prior_draws_choices_and_observations_and_ignores_scores():
    drawn = ppl.prior(TARGET, draws=200, seed=3)
    assert drawn.shape == (1, 200) and drawn.log_weights is None
    predicts_its_choices(drawn)
    assert {"t/split", "ks", "xs/far", "guess"} <= set(drawn.draws)
    assert not any("predict" in name or "/a" in name for name in drawn.draws)
    assert np.isnan(drawn["xs/w/then/n[1]"]).any() and drawn["ks"].shape == (1, 200, 3)
    far = drawn["xs/far"].mean()  # 600 draws: 4.5 standard errors, a false alarm 7e-6
    assert abs(far - 0.3) < 4.5 * np.sqrt(0.21 / 600)
    again = ppl.prior(TARGET, draws=200, seed=3)
    assert np.array_equal(again["y"], drawn["y"]) and not np.array_equal(
        ppl.prior(TARGET, draws=200, seed=4)["y"], drawn["y"]
    )


@pytest.fixture(scope="module")
def posterior():
    wide = MODELS.world(y=[0.0, 0.0, 0.0], z=0.0)
    flat = ppl.infer(wide, ppl.importance(particles=60), seed=5, progress=False)
    # observations this sharp single out one execution: take them all, evenly but for a tilt
    tilt = np.linspace(0, 1, 60)[None]
    return dataclasses.replace(flat, log_weights=tilt)


def test_predictions_keep_the_choices_and_what_inference_inside_gave(posterior):
    predicted = posterior.predict(seed=2)
    assert predicted.shape == (1, 60) and sorted(predicted.draws) == ["y", "z", "z#2"]
    predicts_its_choices(predicted)
    chain, draw = posterior.chosen(60, seed=2)
    for name in ("total", "guess", "ks", "xs"):
        kept = np.asarray(posterior.result[name])[chain, draw][None]
        assert np.array_equal(predicted.result[name], kept), name


def test_predictions_from_a_file_are_the_same(posterior, tmp_path):
    path = tmp_path / "posterior.nc"
    posterior.save(path)
    loaded = ppl.load_posterior(path)
    fresh, read = posterior.predict(seed=2), loaded.predict(posterior.target, seed=2)
    for name in ("y", "z", "z#2"):
        assert np.array_equal(fresh[name], read[name]), name
    with pytest.raises(DiagnosticError, match="E896"):
        loaded.predict()


def test_predictions_for_more_data_draw_the_rest(posterior):
    longer = MODELS.world(y=[0.0] * 5, z=0.0)
    predicted = posterior.predict(longer, seed=2)
    assert predicted["y"].shape == (1, 60, 5)
    predicts_its_choices(predicted)
    short = posterior.predict(seed=2)
    assert np.array_equal(predicted.result["ks"][..., :3], short.result["ks"])


def test_predictions_keep_values_of_any_structure():
    posterior = ppl.infer(
        MODELS.chosen_tree(y=5.0), ppl.importance(particles=60), seed=3, progress=False
    )
    predicted = posterior.predict(seed=2)
    assert set(np.unique(predicted.result)) == {5.0} and np.allclose(predicted["y"], 5, atol=CLOSE)


def test_posteriors_of_the_machine_go_where_others_go(posterior):
    assert posterior.summary()["guess", "mean"] == pytest.approx(
        float((posterior.weights * posterior["guess"]).sum())
    )
    assert posterior.to_arviz().posterior["guess"].shape[0] == 1
    assert posterior.target is not None and posterior.target.budget is None


# ---------------------------------------------------------------------------------------- limits


def code_of(run) -> str:
    with pytest.raises(DiagnosticError) as caught:
        run()
    return caught.value.diagnostics[0].code


@pytest.mark.parametrize("method", [ppl.importance(particles=3), ppl.exact(), ppl.smc(particles=3)])
def test_programs_without_end_are_stopped(method, monkeypatch):
    def run(**limits):
        return ppl.infer(MODELS.endless(), method, progress=False, **limits)

    assert code_of(lambda: run(limits=ppl.limits(fuel=20_000))) == "E843"
    assert code_of(lambda: run(limits=ppl.limits(fuel=None, seconds=0.1))) == "E847"
    assert ppl.limits().fuel == 1_000_000
    monkeypatch.setattr("ppl.engines.Limits", functools.partial(ppl.limits, fuel=20_000))
    assert code_of(run) == "E843"


def test_simulation_is_stopped_too(monkeypatch):
    monkeypatch.setattr("ppl.simulate.Limits", functools.partial(ppl.limits, fuel=20_000))
    assert code_of(lambda: ppl.prior(MODELS.endless(), draws=3)) == "E843"


def test_limits_are_for_the_machine():
    plain, limits = MODELS.plain(), ppl.limits(seconds=30)
    method = ppl.importance(particles=20)
    assert code_of(lambda: ppl.infer(plain, method, limits=limits)) == "E811"
    held = ppl.infer(plain, method, limits=limits, engine="machine", progress=False)
    free = ppl.infer(plain, method, engine="machine", progress=False)
    assert np.array_equal(held["x"], free["x"])


def test_names_may_be_asked_for_when_the_time_is_over():
    limits = ppl.limits(seconds=2)
    method = ppl.importance(particles=5)
    posterior = ppl.infer(MODELS.plain(), method, limits=limits, engine="machine", progress=False)
    time.sleep(2.05)
    assert posterior["x"].shape == (1, 5)


def test_a_stopped_run_keeps_the_executions_made_so_far(monkeypatch):
    target, stops = MODELS.world(y=[0.0, 0.0, 0.0], z=0.0), 7
    begin = MachineKey.begin

    def interrupted(self, state):
        if self.slot == stops and not state.code.named:
            raise KeyboardInterrupt
        return begin(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(MachineKey, "begin", interrupted)
        with pytest.raises(ppl.Interrupted) as caught:
            ppl.infer(target, ppl.importance(particles=30), seed=5, progress=False)
    kept = caught.value.posterior
    short = ppl.infer(target, ppl.importance(particles=stops), seed=5, progress=False)
    assert kept.log_evidence == short.log_evidence
    assert np.array_equal(kept["guess"], short["guess"])
    (remark,) = [r for r in kept.remarks if r.code == "W896"]
    assert "7 of 30 executions" in remark.message
    stops = 0
    with monkeypatch.context() as patch:
        patch.setattr(MachineKey, "begin", interrupted)
        with pytest.raises(ppl.Interrupted) as caught:
            ppl.infer(target, ppl.importance(particles=30), seed=5, progress=False)
    assert caught.value.posterior is None


def stops(patch, chain, at):
    """A user who stops chain number `chain` after `at` of its steps."""
    made, begun = mcmc.step_of, count()

    def step_of(kernel, program, **settings):
        step, own, steps = made(kernel, program, **settings), next(begun), count()

        def stopping(*args):
            if (own, next(steps)) == (chain, at):
                raise KeyboardInterrupt
            return step(*args)

        return stopping

    patch.setattr(mcmc, "step_of", step_of)


# 3 chains of 5 warm-up steps and 4 draws, 2 steps each: stopped after the second chain's first draw
# (one whole chain is most), its third (two of 3 are), the first one's second, and in its warm-up
@pytest.mark.parametrize(
    ("chain", "at", "kept"), [(1, 8, (1, 4)), (1, 12, (2, 3)), (0, 9, (1, 2)), (0, 4, None)]
)
def test_stopped_chains_keep_their_draws(monkeypatch, chain, at, kept):
    target = MODELS.world(y=[0.3, 1.0, -0.5], z=0.2)
    method = ppl.mcmc(chains=3, warmup=5, draws=4, thin=2)
    whole = ppl.infer(target, method, seed=5, progress=False, engine="machine")
    with monkeypatch.context() as patch, pytest.raises(ppl.Interrupted) as caught:
        stops(patch, chain, at)
        ppl.infer(target, method, seed=5, progress=False, engine="machine")
    posterior = caught.value.posterior
    if kept is None:
        assert posterior is None
        assert "no draws yet" in str(caught.value)
        return
    assert posterior.shape == kept
    cut = slice(kept[0]), slice(kept[1])
    assert np.array_equal(posterior["guess"], whole["guess"][cut])
    assert np.array_equal(posterior["ks"], whole["ks"][cut])
    rate = posterior.stats["acceptance_rate"]
    assert np.array_equal(rate, whole.stats["acceptance_rate"][cut])
    (remark,) = [r for r in posterior.remarks if r.code == "W896"]
    assert f"{kept[0]} x {kept[1]} of 3 x 4 draws" in remark.message


def test_a_stopped_population_has_no_draws(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ppl.inference.smc.resample", interrupted)
    target = MODELS.world(y=[0.3, 1.0, -0.5], z=0.2)
    with pytest.raises(ppl.Interrupted, match="no draws yet") as caught:
        ppl.infer(target, ppl.smc(particles=9), progress=False, engine="machine")
    assert caught.value.posterior is None


def test_imagined_runs_have_fuel_that_ends():
    """The world that is imagined does not end."""
    models = ppl.compile("""
    type chain = End | Link(chain)
    fn walk(c: chain, p: prob) -> measure[nat] {
      stop ~ bernoulli(p)
      if stop { return 3 } else { walk(Link(c), p) }
    }
    model walks() { p ~ beta(2, 1); n ~ walk(End, p); return n }
    """)
    method, target = ppl.importance(particles=3), models.walks()
    with pytest.raises(DiagnosticError, match="its fuel, 50 steps"):
        ppl.counterfactual(
            target, {"p": 0.9}, do={"p": 0}, method=method, limits=ppl.limits(fuel=50)
        )


def test_limits_on_the_command_line(tmp_path):
    path = tmp_path / "endless.ppl"
    path.write_text(
        "type t = A | B(t)\nfn f(x: t) -> nat { f(B(x)) }\n"
        "model m() { x ~ bernoulli(0.5); return f(A) }\n"
    )
    run = ["run", str(path), "--method", "importance", "--no-progress"]
    for option, code in (
        ("--fuel=20000", "E843"),
        ("--seconds=0.1", "E847"),
        ("--seconds=-1", "E811"),
    ):
        out = CliRunner().invoke(main, [*run, option])
        assert out.exit_code == 1 and code in out.stderr, out.output
