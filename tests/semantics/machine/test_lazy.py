"""`lazy` changes when a draw is made and never the law: exact masses, by all paths in rationals."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction as F

import pytest

import ppl
from ppl.semantics.machine import MachineKey, enumerate_paths

LAW = {0: F(3, 10), 1: F(1, 5), 2: F(1, 2)}
TYPES = """
type chain = Link(nat, chain) | End
fn links(k: nat) -> measure[chain] {
  if k >= 3 { return End } else {
    x ~ categorical([0.25, 0.75])
    rest ~ lazy(links(k + 1))
    return Link(x, rest)
  }
}
"""


def masses(body: str) -> dict:
    """The mass of every result, exactly."""
    model = ppl.compile(f"{TYPES}\nmodel main() {{\n{body}\n}}").main
    out: defaultdict = defaultdict(F)
    for p in enumerate_paths(model.machine, model.machine.bind({}), rational=True):
        result = p.execution.result
        out[str(result) if isinstance(result, dict | list) else result] += p.weight
    return dict(out)


#: what is returned of a lazy x, and the value that it has when x is k
RETURNED = {
    "itself": ("x", lambda k: k),
    "in a tuple": ("(x, 7)", lambda k: (k, 7)),
    "in arrays": ("[[x, 1], [2, x]]", lambda k: str([[k, 1], [2, k]])),
    "in a record": ("{a: x, b: true}", lambda k: str({"a": k, "b": True})),
    "from a branch": ("if x > 1 { x } else { 5 }", lambda k: 2 if k > 1 else 5),
    "summed with others": ("sum([x, 1] + [x, x])", lambda k: 3 * k + 1),
    "compared inside": ("Link(x, End) == Link(1, End)", lambda k: k == 1),
    "as places": ("[4, 6, 9][[x, 0]]", lambda k: str([[4, 6, 9][k], 4])),
    "written": ("text((x, x) == (2, 2))", lambda k: str(k == 2).lower()),
    "as a key inside": ("len(map_of([((x, 1), 3), ((2, 1), 4)]))", lambda k: 1 + (k != 2)),
}


@pytest.mark.parametrize("place", RETURNED)
def test_a_value_that_is_needed_is_drawn(place):
    text, value = RETURNED[place]
    expected: defaultdict = defaultdict(F)
    for k, p in LAW.items():
        expected[value(k)] += p
    assert masses(f"x ~ lazy(categorical([0.3, 0.2, 0.5]))\nreturn {text}") == expected


def test_lazy_arguments_of_distributions_and_observed_arrays_are_drawn():
    body = """
  x ~ lazy(categorical([0.3, 0.2, 0.5]))
  observe [x, 1] ~ binomial([4, 3], [0.25, 0.5])
  y ~ bernoulli([0.25, 0.5, 0.75][x])
  return (x, y)
"""
    likelihood = {0: F(3, 4) ** 4, 1: 4 * F(1, 4) * F(3, 4) ** 3, 2: 6 * F(1, 16) * F(9, 16)}
    assert masses(body) == {
        (k, y): LAW[k] * likelihood[k] * F(3, 8) * (F(k + 1, 4) if y else F(3 - k, 4))
        for k in LAW
        for y in (False, True)
    }


def test_a_lazy_value_from_normalize_has_the_normalised_law():
    body = """
  y ~ normalize({
    x ~ lazy(bernoulli(0.25))
    z ~ bernoulli(0.5)
    condition x or z
    return x
  }, exact)
  return y
"""
    assert masses(body) == {True: F(2, 5), False: F(3, 5)}


def test_what_is_not_asked_for_is_not_drawn():
    body = "c ~ links(0)\nmatch c { Link(x, rest) => return x, End => return 9 }"
    assert masses(body) == {0: F(1, 4), 1: F(3, 4)}
    model = ppl.compile(f"{TYPES}\nmodel main() {{\n{body}\n}}").main
    assert list(model.machine.run({}, MachineKey(4)).sites) == ["c/x"]


def test_names_show_the_lazy_values_that_were_drawn():
    model = ppl.compile("""
model main() {
  x ~ lazy(categorical([0.3, 0.2, 0.5]))
  y ~ bernoulli(0.25)
  return if y { x } else { 4 }
}
""").main
    for p in enumerate_paths(model.machine, model.machine.bind({})):
        kept = p.execution.kept
        assert kept.get("x", 4) == p.execution.result
        assert ("x" in kept) == kept["y"]


@pytest.mark.parametrize("method", [ppl.smc(particles=400), ppl.mcmc(chains=2, draws=200)])
def test_methods_return_values(method):
    target = ppl.compile("""
model main() {
  x ~ lazy(normal(0, 1))
  y ~ bernoulli(0.5)
  observe y ~ bernoulli(0.75)
  return {x, y}
}
""").main()
    posterior = ppl.infer(target, method, seed=1, progress=False)
    assert posterior.result["x"].dtype == float
    assert (posterior.result["x"] == posterior["x"]).all()
