"""Values that the posterior has and no chain came to are told of, and no others."""

from __future__ import annotations

import pytest

import ppl
from ppl import kernels

# a and b are in the same pair; c is free, and rare
MODELS = ppl.compile("""
model pairs(ys: [real]) {
  a ~ categorical([0.4, 0.3, 0.2, 0.1])
  b ~ categorical([0.1, 0.4, 0.2, 0.3])
  condition a // 2 == b // 2
  c ~ bernoulli(0.004)
  m ~ normal(0, 1)
  observe ys ~ normal(m, 1)
  return a
}
# what runs forward have is not what the data want
model needle(ys: [real]) {
  k ~ categorical([0.3, 0.3, 0.2, 0.2])
  m ~ normal(0, 100)
  observe ys ~ normal(m + k, 0.001)
  return k
}
model listed(ys: [real]) {
  ks ~ for y in ys { k ~ categorical([0.5, 0.3, 0.2]); observe y ~ normal(2 * k, 0.4); return k }
  return ks
}
""")
PRIOR, BOTH = kernels.prior(), kernels.prior(block=True)


def told(model, kernel, ys, engine="machine", **settings):
    method = ppl.mcmc(kernel=kernel, **{"chains": 2, "draws": 300, "warmup": 50, **settings})
    found = ppl.infer(model(ys=ys), method, seed=5, progress=False, engine=engine)
    return [w.message for w in found.warnings if w.code == "W888"]


def test_values_that_chains_cannot_reach_are_told_of():
    """Exactly: the chain began with the first pair of values; the second pair has 0.3 · 0.5 / (0.7
    · 0.5 + 0.3 · 0.5) of the posterior, and 2 has two thirds of that. Of 400 runs 200 are alive:
    the share is told to 0.06 but for one in 20 000, of a seed that is fixed."""
    (message,) = told(MODELS.pairs, PRIOR, [0.3], chains=1)
    assert message.startswith("no chain came to `a` = 2")
    share = int(message.split("about ")[1].split("%")[0])
    assert abs(share - 20) <= 12


@pytest.mark.usefixtures("quick_compilation")
def test_values_that_compiled_chains_cannot_reach_are_told_of():
    """A chain that began in one pair of values; runs of the machine tell of the other."""
    (message,) = told(MODELS.pairs, PRIOR, [0.3], engine="xla", chains=1)
    assert message.startswith("no chain came to `")


@pytest.mark.parametrize(
    ("model", "kernel", "ys", "settings"),
    [
        (MODELS.pairs, BOTH.on("a", "b").then(PRIOR), [0.3], {}),
        (MODELS.needle, PRIOR, [0.2, 0.2], {}),
        (MODELS.listed, PRIOR, [0.1, 4.2, 1.9], {}),
        (MODELS.listed, PRIOR, [1.0, 3.1, 0.9], {"draws": 2, "warmup": 0}),
    ],
    ids=["reached", "runs tell nothing", "impossible by the data", "short"],
)
def test_nothing_is_told_without_reason(model, kernel, ys, settings):
    assert not told(model, kernel, ys, **settings)
