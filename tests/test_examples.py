"""Every example runs, and its posterior means are those computed without the system.

Sampled means must lie within 5 combined Monte Carlo standard errors: for a correct system that
fails with probability 6e-7 a comparison, under 1e-4 for all of them, and never by chance from one
run to the next, because seeds are fixed. Finite examples are solved exactly and compared to 1e-12.
"""

import json
from pathlib import Path

import arviz
import numpy as np
import pytest

import ppl
from tests.oracles.examples import ANSWERS

EXAMPLES = Path(__file__).parent.parent / "examples"
REFERENCE = EXAMPLES.parent / "benchmarks" / "reference"
NAMES = sorted(p.parent.name for p in EXAMPLES.glob("*/model.ppl"))
EXACT = {"sprinkler", "monty_hall"}
#: what is compared in a way of its own, below
ELSEWHERE = {"eight_schools", "sp500", "cars"}
SETTINGS = {
    "beetles": {"draws": 500},
    "cars_gp": {"warmup": 200, "draws": 150},
    "influenza": {"warmup": 200, "draws": 150},
    "stackloss": {"dense_mass": True},
    "nile": {"target_accept": 0.9},
    "sp500": {"chains": 1, "warmup": 200, "draws": 100},
    "eight_schools": {"target_accept": 0.95, "draws": 800},
}


def load(name):
    data = json.loads((EXAMPLES / name / "data.json").read_text())
    return ppl.load(EXAMPLES / name / "model.ppl")[name](**data), data


def nuts(name):
    return ppl.nuts(**{"chains": 2, "warmup": 300, "draws": 300, **SETTINGS.get(name, {})})


def assert_means(got, answers, name):
    """`got[k]` has shape (chain, draw, *shape of the answer)."""
    for key, answer in answers.items():
        x = np.asarray(got[key], float)
        assert x.shape[2:] == answer.mean.shape, f"{name}: {key}"
        for index in np.ndindex(answer.mean.shape):
            component = x[(slice(None), slice(None), *index)]
            error = np.hypot(arviz.mcse(component, method="mean"), answer.se[index])
            difference = abs(component.mean() - answer.mean[index])
            assert difference <= 5 * error, f"{name}: {key}{list(index)}: {difference} > 5 {error}"


def test_every_example_is_checked_and_described():
    assert set(NAMES) == set(ANSWERS) | ELSEWHERE
    readme = (EXAMPLES / "README.md").read_text()
    for name in NAMES:
        assert f"[{name}]({name}/model.ppl)" in readme
        assert (EXAMPLES / name / "model.ppl").read_text().startswith("## ")


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ELSEWHERE | EXACT])
def test_posterior_means(name):
    target, data = load(name)
    result = ppl.infer(target, nuts(name), seed=1, progress=False).result
    if name == "nile":
        result = {**result, "last": np.asarray(result["levels"])[..., -1]}
    assert_means(result, ANSWERS[name](data), name)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_exact_answers(name):
    target, data = load(name)
    posterior = ppl.infer(target, ppl.exact(), seed=1, progress=False)
    for key, answer in ANSWERS[name](data).items():
        mean = np.sum(posterior.weights * np.asarray(posterior.result[key], float))
        assert mean == pytest.approx(float(answer.mean), abs=1e-12)


def test_a_posterior_over_functions_is_called_on_new_inputs():
    target, data = load("cars")
    line = ppl.infer(target, nuts("cars"), seed=1, progress=False).result
    distance = np.asarray(line(21.0))
    assert_means({"at_21": distance}, ANSWERS["cars"](data), "cars")
    # every draw is a line: equal steps in, equal steps out
    steps = np.diff([np.asarray(line(x)) for x in (10.0, 20.0, 30.0)], axis=0)
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-9, atol=1e-9)


def test_volatility_follows_the_size_of_returns():
    target, data = load("sp500")
    result = ppl.infer(target, nuts("sp500"), seed=1, progress=False).result
    returns = 100 * np.diff(np.log(data["closing_prices"]))
    volatility = np.asarray(result["volatility"]).mean((0, 1))
    # volatile at the start (summer 2010), calm at the end, around the sample's own
    smooth = np.sqrt(np.convolve(returns**2, np.ones(21) / 21, mode="valid"))
    assert np.corrcoef(volatility[10:-10], smooth)[0, 1] > 0.85
    assert 0.85 < np.sqrt(np.mean(volatility**2)) / returns.std() < 1.15


def test_schools_are_pooled():
    """The means of long runs of the same posterior, to a third of a standard deviation.

    The centred model mixes slowly where tau is small, so its own standard errors are not trusted.
    """
    target, data = load("eight_schools")
    result = ppl.infer(target, nuts("eight_schools"), seed=1, progress=False).result
    reference = json.loads((REFERENCE / "eight_schools" / "reference.json").read_text())["summary"]
    theta = np.asarray(result["theta"]).mean((0, 1))
    long_run = np.array([reference[f"theta[{j + 1}]"]["mean"] for j in range(len(data["y"]))])
    sd = np.array([reference[f"theta[{j + 1}]"]["sd"] for j in range(len(data["y"]))])
    np.testing.assert_array_less(np.abs(theta - long_run) / sd, 1 / 3)
