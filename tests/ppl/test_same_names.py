"""Both engines show draws, observations and scores under the same names, in the same shapes."""

from __future__ import annotations

import numpy as np
import pytest

import ppl

TEXT = """
model arrays(w: [real], counts: [[nat]], y: [real]) {
  theta ~ for _ in range(3) { normal(0, 1) }
  pairs ~ for _ in range(2) { iid(3, normal(0, 1)) }
  grid ~ for _ in range(2) { for _ in range(3) { normal(0, 1) } }
  p ~ dirichlet([1, 2, 3])
  observe w ~ normal(theta[0], [1, 2])
  observe counts ~ poisson(exp(theta[1]))
  for v in y { observe v ~ normal(theta[2], p[0]) }
  return theta
}
"""
#: a random function that nobody asks for sends the program to the machine
UNASKED = "f ~ mem(fn (k: nat) => normal(0, 1))"
DATA = {"w": [0.2, 0.8], "counts": [[1, 0, 2], [2, 2, 1]], "y": [0.3, -1.0, 0.5, 0.1]}


def shapes(draws) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(v) for name, v in draws.items()}


@pytest.fixture(scope="module")
def both():
    texts = TEXT, TEXT.replace("return theta", f"{UNASKED}\n  return theta")
    models = [ppl.compile(text).arrays for text in texts]
    assert [m.engine.name for m in models] == ["xla", "machine"]
    method = ppl.importance(particles=7)
    return [ppl.infer(m(**DATA), method, seed=1, progress=False) for m in models]


def test_draws(both):
    xla, machine = (shapes(p.named) for p in both)
    assert xla == machine
    assert machine == {
        "theta": (1, 7, 3),
        "pairs": (1, 7, 2, 3),
        "grid": (1, 7, 2, 3),
        "p": (1, 7, 3),
    }


@pytest.mark.parametrize("what", ["predict", "log_likelihood"])
def test_observations(both, what):
    made = [getattr(p, what)() for p in both]
    xla, machine = (shapes(getattr(m, "draws", m)) for m in made)
    assert xla == machine == {"w": (1, 7, 2), "counts": (1, 7, 2, 3), "y": (1, 7, 4)}


def test_an_array_is_predicted_by_independent_draws_of_its_elements(both):
    counts = both[1].predict(seed=3)["counts"]
    assert (counts != counts[..., :1, :1]).any()


#: which of three measures is run is drawn: two name a choice alike, one draws without a name
CHOSEN = """
fn f(x) { a ~ normal(x, 1); return a }
fn g(x) { b ~ normal(x, 2); a ~ normal(b, 1); return a + b }
model m(y: [real]) {
  k ~ categorical([0.2, 0.3, 0.5])
  let h = [f, g, fn (x) => normal(x, 3)][k]
  z ~ h(1)
  h(2)
  w ~ for v in y { u ~ h(v); return u }
  observe y ~ normal(z + w, 1)
  return (k, z, w)
}"""


@pytest.fixture(scope="module")
def chosen():
    model = ppl.compile(CHOSEN).m
    return model(y=[0.3, -1.0, 0.5])


def test_choices_of_one_of_several_functions(chosen):
    method = ppl.importance(particles=40)
    xla, machine = (
        ppl.infer(chosen, method, seed=1, engine=e, progress=False) for e in ("xla", "machine")
    )
    names = {n.partition("[")[0] for n in machine.named}
    assert (
        xla.named.keys()
        == names
        == {"k", "z", "z/a", "z/b", "h", "h/a", "h/b"}
        | {
            "w",
            "w/u",
            "w/u/a",
            "w/u/b",
        }
    )
    for p in (xla, machine):
        k, z, a, b = (np.asarray(p[n][0]) for n in ("k", "z", "z/a", "z/b"))
        assert set(k) == {0, 1, 2}
        np.testing.assert_array_equal(np.isnan(a), k == 2)
        np.testing.assert_array_equal(np.isnan(b), k != 1)
        np.testing.assert_allclose(z[k == 0], a[k == 0])
        np.testing.assert_allclose(z[k == 1], (a + b)[k == 1])
    predicted = xla.predict(chosen, seed=3)  # replays what is shown
    assert predicted["y"].shape == (1, 40, 3)


def test_names_in_one_of_several_functions_can_be_set(chosen):
    """`a` is set in both of the functions that draw it; z is then 1.5, 1.5 + b or normal."""
    for engine in ("xla", "machine"):
        target = chosen.do({"z/a": 1.5, "w/u/b[1]": -4.0})
        p = ppl.infer(target, ppl.importance(particles=60), seed=2, engine=engine, progress=False)
        k, z, b = (np.asarray(p[n][0]) for n in ("k", "z", "z/b"))
        np.testing.assert_allclose(z[k == 0], 1.5)
        np.testing.assert_allclose(z[k == 1], 1.5 + b[k == 1])
        w, a = p["w"][0], p["w/u/a"][0] if engine == "xla" else None
        if a is not None:
            np.testing.assert_allclose(w[k == 1, 1], a[k == 1, 1] - 4)
        with pytest.raises(ppl.DiagnosticError, match="there is no site `z/c`"):
            chosen.do({"z/c": 1.0})


#: the same function on two scales, under a method that moves coordinates
SCALED = """
fn f(s) { fn (x) => { a ~ normal(x, s); return a } }
model m(y: real) {
  c ~ bernoulli(0.25)
  let h = if c { f(3) } else { f(0.5) }
  z ~ h(1)
  observe y ~ normal(z, 1)
  return z
}"""


def test_a_choice_in_one_of_several_functions_has_one_name_under_gradients():
    p = ppl.infer(ppl.compile(SCALED).m(y=2.5), ppl.laplace(draws=20), seed=4, progress=False)
    assert p.named.keys() == {"c", "z", "z/a"}
    np.testing.assert_array_equal(p["z"], p["z/a"])
