"""The rule by which a posterior matches its reference, and the names of parameters."""

import json

import numpy as np
import pytest

from benchmarks import reference
from benchmarks.reference import FOLDER, NAMES, compare, site_of

SUMMARY = {"mean": 2.0, "sd": 0.5, "mcse_mean": 0.005}


def draws(mean, sd, n=4000):
    """Exactly this mean and standard deviation, and no autocorrelation."""
    x = np.random.default_rng(3).normal(size=(4, n // 4))
    x = (x - x.mean()) / x.std(ddof=1)
    return mean + sd * x


def test_the_reference_itself_matches():
    match = compare(draws(2.0, 0.5), "a", SUMMARY)
    assert match.ok and match.difference < 1e-12 and match.sd_ratio == pytest.approx(1)


def test_a_mean_may_be_off_by_five_combined_standard_errors_and_no_more():
    # 0.5 / sqrt(4000) = 0.0079 combined with 0.005: about 0.0094, so 5 of them are about 0.094 sd
    assert compare(draws(2.0 + 0.040, 0.5), "a", SUMMARY).ok
    assert not compare(draws(2.0 + 0.060, 0.5), "a", SUMMARY).ok


def test_a_mean_may_always_be_off_by_a_twentieth_of_a_standard_deviation():
    summary = {**SUMMARY, "mcse_mean": 0.0}
    assert compare(draws(2.0 + 0.024, 0.5, n=400_000), "a", summary).ok
    assert not compare(draws(2.0 + 0.026, 0.5, n=400_000), "a", summary).ok


@pytest.mark.parametrize(
    ("ratio", "ok"), [(0.89, False), (0.91, True), (1.09, True), (1.11, False)]
)
def test_a_standard_deviation_may_be_off_by_a_tenth(ratio, ok):
    assert compare(draws(2.0, 0.5 * ratio), "a", SUMMARY).ok is ok


def test_reference_names_count_from_one():
    assert site_of("beta[2]", {}) == ("beta", (1,))
    assert site_of("sigma", {}) == ("sigma", ())
    assert site_of("theta[1]", {"theta[1]": "birth"}) == ("birth", ())


def test_one_bad_parameter_fails_the_run(monkeypatch, capsys):
    good = compare(draws(2.0, 0.5), "a", SUMMARY)
    bad = compare(draws(3.0, 0.5), "b", SUMMARY)
    monkeypatch.setattr(reference, "fit", lambda name, *, seed: (1.0, [good]))
    assert reference.main([]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 14
    monkeypatch.setattr(reference, "fit", lambda name, *, seed: (1.0, [good, bad]))
    assert reference.main(["--only", "hmm"]) == 1
    assert "FAILS: b" in capsys.readouterr().out


def test_there_are_fourteen_with_their_references():
    assert len(NAMES) == 14
    for name in NAMES:
        summary = json.loads((FOLDER / name / "reference.json").read_text())["summary"]
        assert summary and all(v["sd"] > 0 and v["mcse_mean"] > 0 for v in summary.values())
