"""`ppl verify`: the laws of a Python file, a method on a model, the page."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from ppl.cli import main

LAWS = """
import math
from ppl.verify import ProperlyWeighted, Resampler, Sampler, index, preserves

def one_of_all(log_weights, omega, share):
    n = len(log_weights)
    total = sum(map(math.exp, log_weights))
    chosen = [index(omega, ("ancestor", i), n) for i in range(n)]
    return chosen, [log_weights[i] + math.log(share(total)) for i in chosen]

@preserves(ProperlyWeighted(), paths=6, size=1, examples=4)
def forward(program):
    return Sampler(lambda model, omega: model.run(omega))

even = lambda w, omega: one_of_all(w, omega, lambda total: 1)
total = lambda w, omega: one_of_all(w, omega, lambda total: 2 * total)
program = "model m() { x ~ categorical([0.2, 0.5, 0.3]); return x }"
contracts = [
    ("even", Resampler(even), ProperlyWeighted(), program),
    ("total", Resampler(total), ProperlyWeighted(), program),
    ("listed", lambda program: Resampler(even), ProperlyWeighted()),
]
"""
MODEL = """
model level(y: [real]) {
  mu ~ normal(0.5, 1.2)
  for x in y { observe x ~ normal(mu, 0.7) }
  return mu
}
"""


def run(*arguments):
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


@pytest.fixture
def laws(tmp_path):
    path = tmp_path / "laws.py"
    path.write_text(LAWS)
    return path


def test_the_laws_of_a_file_are_checked_and_reported(laws, tmp_path):
    out = run(laws, "--examples", 3, "--html", tmp_path / "out.html", "--no-progress")
    assert out.exit_code == 1, out.output
    assert "PASS forward" in out.output and "PASS even" in out.output
    assert "FAIL total" in out.output and "3 of 4 laws are kept" in out.output
    assert "model m()" in out.output  # a program that can be run
    page = (tmp_path / "out.html").read_text()
    assert page.count("<h2") == 4 and "3 of 4 laws are kept" in page and "model m()" in page
    assert not re.search(r"(src|href)=.https?:|@import|url\(|<script", page)


def test_one_law_can_be_chosen_and_json_asked_for(laws):
    out = run(laws, "--only", "even", "--json")
    assert out.exit_code == 0, out.output
    (law,) = json.loads(out.stdout)["laws"]
    assert law["outcome"] == "PASS" and law["facts"]["level"] == "exact"
    assert run(laws, "--only", "evn").exit_code == 2


def test_a_method_is_calibrated_on_a_model(tmp_path):
    (tmp_path / "m.ppl").write_text(MODEL)
    (tmp_path / "d.json").write_text('{"y": [0.1, -0.3]}')
    out = run(
        tmp_path / "m.ppl", "--data", tmp_path / "d.json", "--method", "importance",
        "--set", "particles=200", "--simulations", 20, "--html", tmp_path / "out.html",
    )  # fmt: skip
    assert out.exit_code == 0, out.output
    assert "PASS importance on level" in out.output and "calibration" in out.output
    page = (tmp_path / "out.html").read_text()
    assert "<svg" in page
    assert not re.search(r"(src|href)=.https?:|@import|<script|DOCTYPE svg", page)


def test_what_does_not_fit_is_a_usage_error_or_a_diagnostic(laws, tmp_path):
    assert run(laws, "--method", "nuts").exit_code == 2
    (tmp_path / "m.ppl").write_text(MODEL)
    assert run(tmp_path / "m.ppl", "--examples", 3).exit_code == 2
    assert run(tmp_path / "none.py").exit_code == 2
    for text, why in [
        ("x = 1", "states no law"),
        ("contracts = [1]", "it has 1"),
        ("contracts = 3", "it is of type int"),
        ("1 / 0", "ZeroDivisionError"),
    ]:
        (tmp_path / "no.py").write_text(text)
        out = run(tmp_path / "no.py")
        assert out.exit_code == 1 and "E737" in out.output and why in out.output
