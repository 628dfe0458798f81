"""The engine that is asked for runs the program, or says why it cannot."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import norm

import ppl
from ppl.cli import main
from ppl.semantics.diagnostics import DiagnosticError

SOURCE = """
fn longer(xs: [real], x: real) -> [real] { concat(xs, [x]) }
model coins(y: nat) { k ~ categorical([0.2, 0.5, 0.3]); observe y ~ binomial(3, [0.3, 0.5, 0.9][k]); return k }
model growing(y: real) {
  xs ~ iterate xs = [0.5] until sum(xs) > 2 { e ~ bernoulli(0.75); return longer(xs, indicator(e)) }
  observe y ~ normal(sum(xs), 1)
  return sum(xs)
}
model memo(y: real) { f ~ mem(fn (k: nat) => normal(0, 1)); observe y ~ normal(f(0), 1); return f(0) }
"""
MODELS = ppl.compile(SOURCE)


def code(target: ppl.Target, method: object, engine: str) -> str:
    with pytest.raises(DiagnosticError) as caught:
        ppl.infer(target, method, engine=engine, progress=False)
    (problem,) = caught.value.diagnostics
    return problem.code


def test_either_engine_gives_the_exact_law():
    target = MODELS.coins(y=2)
    here, there, chosen = (
        ppl.infer(target, ppl.exact(), engine=e, progress=False) for e in ("xla", "machine", "auto")
    )
    assert here.log_evidence == pytest.approx(there.log_evidence, rel=1e-12)
    assert chosen.log_evidence == here.log_evidence
    means = [np.sum(p.weights * p["k"]) for p in (here, there)]
    assert means[0] == pytest.approx(means[1], rel=1e-12)


def test_an_engine_that_cannot_run_it_is_refused():
    assert code(MODELS.memo(y=0.3), ppl.importance(), "xla") == "E716"
    assert code(MODELS.coins(y=2), ppl.nuts(), "machine") == "E716"
    assert code(MODELS.coins(y=2), ppl.exact(), "gpu") == "E811"


def test_what_turns_out_not_to_fit_runs_on_the_machine_and_says_so():
    """Hidden in a function, the growth of a state is seen only while compiling."""
    target = MODELS.growing(y=2.1)
    assert target.model.engine.name == "xla"
    assert code(target, ppl.importance(particles=5), "xla") == "E715"
    posterior = ppl.infer(target, ppl.importance(particles=50), progress=False)
    assert [r.code for r in posterior.remarks] == ["W717"]
    assert set(np.asarray(posterior.result)[0]) == {2.5}
    quiet = ppl.infer(target, ppl.importance(particles=50), progress=False, engine="machine")
    assert not quiet.remarks and quiet.log_evidence == posterior.log_evidence


def test_a_state_that_grows_behind_a_choice_runs_on_the_machine():
    """Each of three elements is kept with probability 0.3: exact on the machine."""
    target = ppl.compile("""
model m(ys: [real]) {
  kept ~ fold kept = [10.0] for y in ys {
    b ~ bernoulli(0.3)
    return if b { concat(kept, [y]) } else { kept }
  }
  observe 12.5 ~ normal(sum(kept), 1)
  return sum(kept)
}""").m(ys=[1.0, 2.5, 4.0])
    assert target.model.engine.name == "xla"
    assert code(target, ppl.exact(), "xla") == "E701"
    posterior = ppl.infer(target, ppl.exact(), progress=False)
    assert [r.code for r in posterior.remarks] == ["W717"]
    law: dict[float, float] = {}
    for subset in itertools.product((0, 1), repeat=3):
        total = 10.0 + np.dot(subset, (1.0, 2.5, 4.0))
        weight = np.prod([0.3 if s else 0.7 for s in subset])
        law[total] = law.get(total, 0.0) + weight * np.exp(-0.5 * (12.5 - total) ** 2)
    mass = sum(law.values())
    found = dict(zip(posterior.result[0].tolist(), posterior.weights[0], strict=True))
    assert found == pytest.approx({k: v / mass for k, v in law.items()}, rel=1e-12)
    assert posterior.log_evidence == pytest.approx(np.log(mass) - 0.5 * np.log(2 * np.pi))
    assert code(target, ppl.nuts(), "auto") == "E701", "there is no gradient on the machine"
    drawn = ppl.prior(target, draws=5)
    assert [r.code for r in drawn.remarks] == ["W717"] and drawn.result.shape == (1, 5)


def test_what_does_not_fit_xla_can_be_set_on_the_machine():
    """Two sizes of an array by g, of 3 values. By hand: the sum is g if g > 1, else g + 1."""
    target = ppl.compile("""
model m(y: real) {
  g ~ categorical([0.2, 0.5, 0.3])
  xs ~ if g > 1 { return [1.0 * g] } else { return [1.0 * g, 1] }
  k ~ bernoulli(0.3)
  observe y ~ normal(sum(xs) + 2 * indicator(k), 1)
  return sum(xs)
}""").m(y=2.6)
    with pytest.raises(DiagnosticError, match="no site `h`"):
        target.do(h=1)
    for act, prior in ((target.do, 0.0), (target.given, np.log(0.5))):
        posterior = ppl.infer(act(g=1), ppl.exact(), progress=False)
        assert [r.code for r in posterior.remarks] == ["W717"]
        mass = 0.7 * norm.pdf(2.6, 2, 1) + 0.3 * norm.pdf(2.6, 4, 1)
        assert posterior.log_evidence == pytest.approx(prior + np.log(mass), rel=1e-12)
    assert code(target.do(g=1), ppl.exact(), "xla") == "E701"
    drawn = ppl.prior(target.do(g=1), draws=6)
    assert set(np.asarray(drawn.result)[0]) == {2.0}
    other = ppl.counterfactual(target, {"g": 0}, do={"g": 2}, method=ppl.exact(), progress=False)
    assert set(np.asarray(other.result)[0]) == {2.0}, "the sum, of two numbers before"
    moved = other["y"] - 2 * other["k"]
    np.testing.assert_allclose(moved - 2.0, 2.6 - 1.0 - 2 * other["k"], rtol=1e-12)
    with pytest.raises(DiagnosticError, match="E701"):
        ppl.counterfactual(target, {"g": 0}, do={"g": 2}, method=ppl.exact(), engine="xla")


def test_predictions_take_the_draws_of_the_other_engine():
    """Steps of a loop have columns of their own on the machine, and are one array on XLA."""
    target = ppl.compile("""
model m(y: [real]) {
  s ~ iterate s = 0.0 until abs(s) > 2 { e ~ normal(0, 1); return s + e }
  observe y ~ normal(s, 1e-6)
  return s
}""").m(y=[0.1, 0.4, -0.3])
    posterior = ppl.infer(target, ppl.importance(particles=12), engine="machine", progress=False)
    assert "s/e[0]" in posterior.draws
    flat = replace(posterior, log_weights=None)
    predicted = flat.predict(target, seed=4)
    want = np.broadcast_to(posterior["s"][..., None], (1, 12, 3))
    np.testing.assert_allclose(predicted["y"], want, atol=1e-5)


def test_draws_that_do_not_fit_are_kept_by_the_machine(monkeypatch):
    """Room for 3 steps of 40 lanes: every run takes at least 4 steps."""
    target = ppl.compile("""
model m() {
  k ~ iterate k = 0 until k >= 4 { b ~ bernoulli(0.75); return k + indicator(b) }
  return k
}""").m()
    monkeypatch.setattr("ppl.semantics.xla.steps.ROOM", 2)
    monkeypatch.setattr("ppl.semantics.xla.unbounded.ROOM", 2)
    monkeypatch.setattr("ppl.semantics.xla.unbounded.CAPACITY", 3 * 40)
    assert code(target, ppl.importance(particles=40), "xla") == "E715"
    posterior = ppl.infer(target, ppl.importance(particles=40), progress=False)
    assert [r.code for r in posterior.remarks] == ["W717"]
    assert np.isfinite(posterior["k/b[3]"]).all()


def test_the_command_line_takes_an_engine(tmp_path):
    path = tmp_path / "model.ppl"
    path.write_text(SOURCE)
    data = tmp_path / "data.json"
    data.write_text('{"y": 2}')
    run = ["run", str(path), "coins", "--data", str(data), "--method", "exact", "--engine"]
    out = CliRunner().invoke(main, [*run, "machine"])
    assert out.exit_code == 0 and "k" in out.output
    assert CliRunner().invoke(main, [*run, "abacus"]).exit_code == 2
