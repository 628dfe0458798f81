"""Posteriors: access by name, tables with and without weights, warnings, files, plots."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import arviz
import numpy as np
import pytest

import ppl
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note
from ppl.storage import ResultNotSaved
from ppl.summary import SHOWN


def chains(*, draws: int = 400, seed: int = 3, **changes: Any) -> Posterior:
    rng = np.random.default_rng(seed)
    shape = (4, draws)
    mu = rng.normal(2.0, 3.0, shape)
    given: dict[str, Any] = {
        "draws": {
            "mu": mu,
            "theta": rng.normal(size=(*shape, 3)) * [1.0, 10.0, 100.0],
            "step/x": rng.normal(size=(*shape, 2, 2)),
            "k": rng.poisson(2.0, shape),
            "on": rng.random(shape) < 0.3,
            "word": np.full(shape, "ab"),
        },
        "result": {"mu": mu, "pair": (mu + 1, [mu > 2, None])},
        "stats": {"diverging": np.zeros(shape, bool), "lp": rng.normal(size=shape)},
        "model": "m",
        "method": "nuts",
        "settings": {"target_accept": 0.8, "draws": draws, "odd": float("inf")},
        "seed": 5,
    }
    return Posterior(**(given | changes))


def weighted(n: int = 2_000, seed: int = 4) -> Posterior:
    """Draws from N(0, 1) weighted towards N(1, 0.5^2)."""
    x = np.random.default_rng(seed).normal(size=(1, n))
    log_w = -2 * (x - 1) ** 2 + x**2 / 2 + 300.0  # far from 0, as unnormalised weights are
    return Posterior(
        {"x": x}, log_weights=log_w, evidence=-1.25, evidence_se=0.02, method="importance"
    )


def codes(posterior: Posterior) -> list[str]:
    return [d.code for d in posterior.warnings]


# ---------------------------------------------------------------------------------------- access


def test_draws_by_name():
    posterior = chains()
    assert posterior.shape == (4, 400)
    assert posterior["theta"].shape == (4, 400, 3)
    np.testing.assert_array_equal(posterior["theta[1]"], posterior["theta"][:, :, 1])
    np.testing.assert_array_equal(posterior["step/x[1, 0]"], posterior["step/x"][:, :, 1, 0])
    assert "mu" in posterior and "nu" not in posterior


def test_what_is_returned_and_not_bound_has_a_name():
    mu = np.random.default_rng(1).normal(size=(2, 30))
    sites = {"mu": mu}
    assert list(Posterior(sites, result=mu).named) == ["mu"]
    assert list(Posterior(sites, result=2 * mu).named) == ["mu", "result"]
    assert list(Posterior(sites, result=(mu, mu > 0)).named) == ["mu", "result.1"]
    record = {"mu": mu, "double": 2 * mu, "inner": {"x": mu - 1}, "f": abs}
    assert list(Posterior(sites, result=record).named) == ["mu", "double", "inner.x"]
    clash = Posterior(sites, result={"mu": 2 * mu})
    np.testing.assert_array_equal(clash["result.mu"], 2 * clash["mu"])
    assert clash.summary()["result.mu", "mean"] == pytest.approx(2 * mu.mean())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("theeta", "did you mean `theta`?"),
        ("theta[3]", "each draw of `theta` has 3 entries"),
        ("theta[0, 0]", "each draw of `theta` has 3 entries"),
        ("mu[0]", "has no entries"),
        ("theta[a]", "is not an index"),
    ],
)
def test_unknown_names(name, says):
    with pytest.raises(DiagnosticError, match="E891") as caught:
        chains()[name]
    assert says in str(caught.value)


def test_draws_that_were_not_made_are_nan():
    masked = np.ma.MaskedArray(np.arange(12).reshape(3, 4), np.arange(12).reshape(3, 4) == 5)
    posterior = Posterior({"x": masked})
    assert np.isnan(posterior["x"][1, 1]) and posterior["x"][1, 2] == 6
    assert posterior.summary()["x", "mean"] == pytest.approx((66 - 5) / 11)


# --------------------------------------------------------------------------------------- summary


def test_the_table_of_chains_is_arvizs():
    posterior = chains()
    ours = posterior.summary()
    theirs: Any = arviz.summary(posterior.to_arviz(), round_to="none", var_names=["~word"])
    for name in ours:
        row = theirs.loc[name.replace("/", ".")]
        for column in ("mean", "sd", "ess_bulk", "ess_tail", "r_hat"):
            assert ours[name, column] == pytest.approx(row[column], rel=1e-9), (name, column)
    flat = posterior["theta"].reshape(-1, 3)
    assert ours["theta[2]", "5%"] == pytest.approx(np.quantile(flat[:, 2], 0.05))
    assert ours["theta[2]", "95%"] == pytest.approx(np.quantile(flat[:, 2], 0.95))


def test_the_table_prints():
    lines = str(chains().summary()).split("\n")
    assert lines[0].split() == ["mean", "sd", "5%", "95%", "ess_bulk", "ess_tail", "r_hat"]
    assert [line.split()[0] for line in lines[1:5]] == ["mu", "theta[0]", "theta[1]", "theta[2]"]
    assert not any(line.startswith("word") for line in lines)
    assert "4 chains of 400 draws" in lines and "divergences: 0" in lines


def test_long_tables_are_cut_and_whole():
    posterior = Posterior({"x": np.random.default_rng(1).normal(size=(2, 50, SHOWN + 7))})
    summary = posterior.summary()
    assert "… and 7 more rows" in str(summary)
    assert len(summary) == SHOWN + 7
    assert summary[f"x[{SHOWN + 6}]", "sd"] > 0
    assert list(summary.to_pandas().index) == list(summary)


def test_unknown_rows_and_columns():
    summary = chains().summary()
    with pytest.raises(DiagnosticError, match="did you mean `theta"):
        summary["thata[0]", "mean"]
    with pytest.raises(DiagnosticError, match="no column `median`"):
        summary["mu", "median"]
    assert summary["mu"]["mean"] == summary["mu", "mean"]


def test_weighted_tables_agree_with_the_law():
    # self-normalised importance sampling of N(1, 0.25) by N(0, 1), n = 200,000: the standard error
    # of the mean is below 0.002, of the quantiles below 0.004; bounds at five of them, so that a
    # correct table fails once in a million seeds, and the seed is fixed
    summary = weighted(200_000).summary()
    assert summary["x", "mean"] == pytest.approx(1.0, abs=0.01)
    assert summary["x", "sd"] == pytest.approx(0.5, abs=0.01)
    assert summary["x", "5%"] == pytest.approx(1 - 0.5 * 1.6449, abs=0.02)
    assert summary["x", "95%"] == pytest.approx(1 + 0.5 * 1.6449, abs=0.02)
    assert "effective sample size" in str(summary)
    assert "log evidence -1.2500 (se 0.0200)" in str(summary)


def test_integer_weights_are_repetitions():
    rng = np.random.default_rng(8)
    x, times = rng.normal(size=7), np.array([3, 1, 0, 5, 2, 1, 4])
    table = Posterior({"x": x[None]}, log_weights=np.log(np.maximum(times, 1e-300))[None]).summary()
    repeated = np.repeat(x, times)
    assert table["x", "mean"] == pytest.approx(repeated.mean())
    assert table["x", "sd"] == pytest.approx(repeated.std())
    for p, name in ((0.05, "5%"), (0.95, "95%")):
        assert table["x", name] == np.quantile(repeated, p, method="inverted_cdf")


def test_effective_sample_size_of_weights():
    posterior = Posterior({"x": np.zeros((1, 4))}, log_weights=np.log([[1.0, 2.0, 3.0, 4.0]]))
    assert posterior.effective_sample_size == pytest.approx(100 / 30)
    np.testing.assert_allclose(posterior.weights, [[0.1, 0.2, 0.3, 0.4]])


def test_weights_that_are_all_zero():
    posterior = Posterior({"x": np.zeros((1, 4))}, log_weights=np.full((1, 4), -np.inf))
    with pytest.raises(DiagnosticError, match="E895"):
        posterior.summary()


def test_evidence():
    assert weighted().log_evidence == -1.25
    with pytest.raises(DiagnosticError, match="E892.*`nuts` draws from the posterior"):
        _ = chains().log_evidence


# -------------------------------------------------------------------------------------- warnings


def test_sound_chains_have_no_warnings():
    assert codes(chains(draws=2_000)) == []


def test_divergences_say_what_to_do():
    diverging = np.zeros((4, 400), bool)
    diverging[1, :7] = True
    few = chains(draws=400, stats={"diverging": diverging})
    assert codes(few)[0] == "W891" and "7 of 1600" in few.warnings[0].message
    assert "raise target_accept (it is 0.8" in str(few.warnings[0].hint)
    many = chains(draws=400, stats={"diverging": np.ones((4, 400), bool)})
    assert "target_accept" not in str(many.warnings[0].hint)
    small_steps = replace(few, settings={"target_accept": 0.99})
    assert "target_accept" not in str(small_steps.warnings[0].hint)
    assert "divergences: 7" in str(few.summary())


def test_chains_apart():
    posterior = chains()
    apart = posterior["mu"] + 9.0 * np.arange(4)[:, None]
    found = replace(posterior, draws={"mu": apart, "k": posterior["k"]})
    (warning,) = [d for d in found.warnings if d.code == "W892"]
    assert "`mu` has R-hat" in warning.message and "`k`" not in warning.message


def test_slow_chains():
    walk = np.cumsum(np.random.default_rng(2).normal(size=(4, 2_000)), axis=1)
    assert "W893" in codes(Posterior({"x": walk}))
    # one chain of single-site moves has only their acceptance to tell it by; draws alone are none
    one = walk[:1]
    assert "W893" in codes(Posterior({"x": one}, stats={"acceptance_rate": np.ones((1, 1))}))
    assert codes(Posterior({"x": one})) == []


def test_collapsed_weights():
    posterior = Posterior({"x": np.zeros((1, 500))}, log_weights=np.linspace(0, 900, 500)[None])
    assert codes(posterior) == ["W894"]
    assert codes(weighted()) == []


def test_exact_posteriors_are_not_doubted():
    posterior = Posterior(
        {"x": np.arange(3.0)[None]}, log_weights=np.log([[0.97, 0.02, 0.01]]), exact=True
    )
    assert codes(posterior) == []
    assert "exact" in str(posterior.summary())


def test_remarks_of_the_method_come_first():
    remark = Diagnostic("W894", "a remark")
    assert chains(draws=2_000, remarks=(remark,)).warnings == (remark,)


# ------------------------------------------------------------------------------------- resampling


def test_resampling_is_systematic():
    posterior = Posterior(
        {"x": np.array([[10.0, 20.0, 30.0]])},
        log_weights=np.log([[0.2, 0.5, 0.3]]),
        result=(np.array([[1.0, 2.0, 3.0]]), None),
    )
    for seed in range(20):
        equal = posterior.resample(10, seed=seed)
        assert equal.shape == (1, 10) and equal.log_weights is None
        assert np.unique(equal["x"], return_counts=True)[1].tolist() == [2, 5, 3]
        np.testing.assert_array_equal(equal.result[0] * 10, equal["x"])
    again = posterior.resample(10, seed=3)
    np.testing.assert_array_equal(again["x"], posterior.resample(10, seed=3)["x"])


# ------------------------------------------------------------------------------- files and plots


def test_round_trip(tmp_path):
    remark = Diagnostic("W894", "a remark", notes=(Note("why"),), hint="do")
    before = chains(remarks=(remark,))
    before.save(tmp_path / "p.nc")
    after = ppl.load_posterior(tmp_path / "p.nc")
    assert list(after.draws) == list(before.draws) and list(after.stats) == list(before.stats)
    for name in before.draws:
        np.testing.assert_array_equal(after[name], before[name])
        assert after[name].dtype.kind == before[name].dtype.kind
    np.testing.assert_array_equal(after.stats["diverging"], before.stats["diverging"])
    assert after.settings == {**before.settings, "odd": "inf"}
    assert (after.model, after.method, after.seed, after.exact) == ("m", "nuts", 5, False)
    assert after.remarks == before.remarks
    assert list(after.result) == ["mu", "pair"]
    np.testing.assert_array_equal(after.result["pair"][0], before.result["pair"][0])
    np.testing.assert_array_equal(after.result["pair"][1][0], before.result["pair"][1][0])
    assert after.result["pair"][1][1] is None and after.log_weights is None
    assert str(after.summary()) == str(before.summary())


def test_round_trip_of_weights_and_evidence(tmp_path):
    before = replace(weighted(), evidence=float("-inf"))
    before.save(tmp_path / "p.nc")
    after = ppl.load_posterior(tmp_path / "p.nc")
    np.testing.assert_array_equal(after.weights, before.weights)
    assert after.log_evidence == -np.inf and after.evidence_se == 0.02
    assert "log_weight" not in after.stats and after.result is None


def test_arviz_reads_the_file(tmp_path):
    posterior = chains()
    posterior.save(tmp_path / "p.nc")
    data = arviz.from_netcdf(tmp_path / "p.nc")
    np.testing.assert_array_equal(data["posterior"]["step.x"].values, posterior["step/x"])
    assert data["sample_stats"]["diverging"].dtype == bool


def test_functions_are_left_out_of_files_with_a_warning(tmp_path):
    with pytest.warns(ResultNotSaved, match="W895"):
        replace(chains(), result={"f": lambda x: x}).save(tmp_path / "p.nc")
    after = ppl.load_posterior(tmp_path / "p.nc")
    assert after.result is None and "mu" in after


def test_files_that_are_no_posteriors(tmp_path):
    (tmp_path / "text.nc").write_text("no")
    chains().to_arviz().to_netcdf(tmp_path / "arviz.nc")
    for name in ("text.nc", "arviz.nc", "none.nc"):
        with pytest.raises(DiagnosticError, match="E893"):
            ppl.load_posterior(tmp_path / name)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(DiagnosticError, match="E894"):
        chains().save(tmp_path / "none" / "p.nc")
    assert not list(tmp_path.iterdir())


def test_arviz_of_weighted_draws_is_resampled():
    data = weighted().to_arviz()
    assert data["posterior"]["x"].shape == (1, 2_000)
    assert float(data["posterior"]["x"].mean()) == pytest.approx(
        weighted().summary()["x", "mean"], abs=0.01
    )


def test_plots(tmp_path):
    sizes = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, posterior in {"chains": chains(), "weighted": weighted()}.items():
            posterior.plot(tmp_path / f"{name}.png")
            sizes[name] = (tmp_path / f"{name}.png").stat().st_size
            assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        chains().plot(tmp_path / "one.svg", names=["theta[1]", "k"])
    assert (tmp_path / "one.svg").read_text().count("axes_") == 4
    with pytest.raises(DiagnosticError, match="E891"):
        chains().plot(tmp_path / "x.png", names=["nu"])
    with pytest.raises(DiagnosticError, match="E894"):
        chains().plot(tmp_path / "x.nonsense")


def test_a_loop_whose_states_are_its_draws_is_shown_once(tmp_path):
    """Under the name that it is bound to; numbers and plots are found under both."""
    xs = np.random.default_rng(2).normal(size=(2, 50, 3))
    same, other = {"xs": xs, "xs/x": xs, "k/x": xs}, {"xs": xs, "xs/x": xs + 1}
    found = Posterior(same)
    assert [*found.summary()] == [f"{name}[{i}]" for name in ("xs", "k/x") for i in range(3)]
    assert found.summary()["xs/x[2]", "mean"] == found.summary()["xs[2]", "mean"]
    assert found["xs/x"].shape == xs.shape and len(Posterior(other).summary()) == 6
    found.plot(tmp_path / "one.png", names=["xs/x[1]"])
    assert (tmp_path / "one.png").stat().st_size > 5_000


def test_marginals_of_exact_posteriors_have_each_value_once():
    """Against sums by hand."""
    target = ppl.compile("""
    model m() {
      a ~ categorical([0.2, 0.5, 0.3])
      b ~ if a == 1 { bernoulli(0.4) } else { bernoulli(0.7) }
      factor log(if b { 0.3 } else { [1.0, 2.0, 0.5][a] })
      return a + indicator(b)
    }
    """).m()
    whole = ppl.infer(target, ppl.exact(), engine="machine", progress=False)
    prior, scores = np.array([0.2, 0.5, 0.3]), np.array([1.0, 2.0, 0.5])
    on = np.array([0.7, 0.4, 0.7])
    masses = prior * (on * 0.3 + (1 - on) * scores)
    only = whole.marginal("a")
    assert list(only.draws) == ["a"] and only.log_evidence == whole.log_evidence
    assert only["a"].shape == (1, 3) and only.exact
    by_value = dict(zip(only["a"][0].tolist(), only.weights[0], strict=True))
    assert [by_value[k] for k in range(3)] == pytest.approx(masses / masses.sum(), abs=1e-14)
    assert whole.marginal("a", "a").shape[1] == 3
    drawn = chains().marginal("theta[1]", "mu")
    assert list(drawn.named) == ["theta[1]", "mu"] and drawn["theta[1]"].shape == (4, 400)
    with pytest.raises(DiagnosticError, match="E891"):
        whole.marginal("c")
