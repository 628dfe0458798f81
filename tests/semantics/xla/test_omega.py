"""Ω: a draw is a function of its path; two sites never share one; tapes enumerate."""

import jax
import numpy as np
import pytest

import ppl
from ppl.semantics import distributions as D
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.omega import Key, Tape, path_hash
from ppl.semantics.precision import precision
from tests.semantics.xla.running import law, target

#: part of the specification: results of a seed stay what they are
GOLDEN = {
    (): 309448485,
    ("x",): 2981758949,
    ("theta",): 3025867420,
    ("hs", "h"): 3802053725,
    ("a", "then", "u#2"): 1197188191,
    ("sum", "é/z"): 2954059499,
}


def test_draws_depend_on_the_path_and_not_on_the_order():
    one = "model m(a: real) { x ~ normal(a, 1); y ~ normal(a, 2); k ~ for i in range(3) { normal(a, 3) }; return x }"
    other = "model m(a: real) { k ~ for i in range(3) { normal(a, 3) }; z ~ normal(a, 1); y ~ normal(a, 2); x ~ normal(a, 1); return x }"
    first, second = (ppl.prior(target(s, a=0.5), draws=20, seed=3) for s in (one, other))
    for name in ("x", "y", "k"):
        np.testing.assert_array_equal(first[name], second[name])
    draws = [second["x"], second["z"], *np.moveaxis((second["k"] - 0.5) / 3 + 0.5, -1, 0)]
    assert len(np.unique(np.stack(draws).round(9))) == 5 * 20, "two sites share a key"


STEPS = """
model m(xs: [real]) {
  a ~ scan s = 0.0 for x in xs { e ~ normal(0, 1); return s + e }
  b ~ scan s = 0.0 for x in xs { e ~ normal(0, 1); f ~ fold t = 0.0 for y in xs { g ~ normal(0, 1)
    return t + g }; return s + e }
  c ~ for x in xs { scan s = 0.0 for y in xs { e ~ normal(0, 1); return s + e } }
  return a
}"""


def test_no_two_draws_share_their_randomness():
    """Sites of one law in loops, loops in loops, plates of loops: all values differ."""
    found = ppl.prior(target(STEPS, xs=[1.0, 2.0, 4.0]), draws=50)
    values = np.concatenate([found[k].ravel() for k in ("a/e", "b/e", "b/f/g", "c/e")])
    assert values.size == 50 * (3 + 3 + 9 + 9) and np.unique(values).size == values.size


def test_path_hashes_are_the_same_everywhere_and_tell_paths_apart():
    for path, value in GOLDEN.items():
        assert path_hash(path) == value, path
    paths = [(), ("a",), ("a", "b"), ("a/b",), ("a\\", "b"), ("ab",), ("a", "", "b"), ("b", "a")]
    assert len({path_hash(p) for p in paths}) == len(paths)


def test_a_tape_meets_every_path_once():
    """Two draws of three and two options, the second only where the first is not 0."""

    def run(data, tape):
        tape, first = tape.draw(("a",), D.make("categorical", (data,)), ())
        tape, second = tape.draw(("b",), D.make("bernoulli", (0.3,)), (2,), where=first > 0)
        return (first, second), tape

    p = np.array([0.2, 0.5, 0.3])
    with precision():
        paths = Enumerator(run)(p)
    first, second = (np.asarray(x) for x in paths.outputs)
    got = {
        (int(a), *map(bool, b)): w
        for a, b, w in zip(first, second, np.exp(paths.log_probability), strict=True)
    }
    want = {(0, False, False): 0.2}
    for k in (1, 2):
        for u in (False, True):
            for v in (False, True):
                want[k, u, v] = p[k] * (0.3 if u else 0.7) * (0.3 if v else 0.7)
    assert got == pytest.approx(want, rel=1e-12) and len(first) == len(want)


def test_paths_of_longer_and_wider_tapes():
    """More draws than a tape holds at first (16), and more options (4)."""
    source = """
model m(xs: [nat]) {
  s ~ fold s = 0 for x in xs { b ~ bernoulli(if s == x { 0.25 } else { 0.0 })
    return if b { s + 1 } else { s } }
  k ~ categorical([0.1, 0.2, 0.05, 0.15, 0.3, 0.2])
  return (s, k)
}"""
    got = law(source, xs=list(range(20)))
    chances = np.array([0.1, 0.2, 0.05, 0.15, 0.3, 0.2])
    stops = [0.25**s * (0.75 if s < 20 else 1) for s in range(21)]
    want = {(s, k): stops[s] * chances[k] for s in range(21) for k in range(6)}
    assert got == pytest.approx(want, rel=1e-9)


def test_a_tape_refuses_what_is_not_finite():
    with precision():
        tape = Tape.of(np.zeros(4, np.int32), 2)
        for act in (
            lambda: tape.draw(("x",), D.make("normal", (0.0, 1.0)), ()),
            lambda: tape.foreign_key(("x",)),
        ):
            with pytest.raises(DiagnosticError) as error:
                act()
            assert (
                error.value.diagnostics[0].code in ("E807", "E708")
                and error.value.diagnostics[0].hint
            )


def test_a_bulk_draw_is_one_draw_a_lane():
    with precision():
        omega = Key(jax.random.key(1))
        _, x = omega.draw(("x",), D.make("normal", (0.0, 1.0)), (4, 3))
        _, again = omega.draw(("x",), D.make("normal", (0.0, 1.0)), (4, 3))
        _, step = omega.enter(2).draw(("x",), D.make("normal", (0.0, 1.0)), (4, 3))
    assert np.unique(np.asarray(x)).size == 12
    np.testing.assert_array_equal(x, again)
    assert not np.intersect1d(np.asarray(x), np.asarray(step)).size
    assert omega.leave(omega.enter(2)) is omega
