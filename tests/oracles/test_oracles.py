"""The oracles against answers worked out by hand, and against each other."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from hypothesis import given, settings

from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Source
from ppl.verify.programs import FEATURES, MACHINE_FEATURES, programs
from tests.oracles import rational, weighted_paths
from tests.oracles.compare import distance, plain_joint


def exact(source: str, data=None, *, model: str = "m", fuel: int = 1_000) -> rational.Law:
    """The law by the rational oracle, after the other oracle has found the same."""
    module = parse(Source("test.ppl", source))
    law = rational.law(module, model, data, fuel=fuel)
    joint, lost = weighted_paths.law(module, model, data, fuel=fuel)
    assert distance(plain_joint(law), joint) < 1e-14
    assert abs(float(law.unfinished) - lost) < 1e-14
    return law


def sites(law: rational.Law) -> set[str]:
    return {name for _, drawn in law.joint for name, _ in drawn}


def test_sprinkler():
    law = exact("""
      model m() {
        rain ~ bernoulli(1/5)
        sprinkler ~ bernoulli(if rain { 1/100 } else { 2/5 })
        let p = if sprinkler { if rain { 99/100 } else { 9/10 } }
                else { if rain { 4/5 } else { 0 } }
        observe true ~ bernoulli(p)
        return rain
      }
    """)
    wet_and_rain = F(1, 5) * (F(1, 100) * F(99, 100) + F(99, 100) * F(4, 5))
    wet_and_dry = F(4, 5) * F(2, 5) * F(9, 10)
    assert law.results == {True: wet_and_rain, False: wet_and_dry}
    assert law.evidence == F(22419, 50000)
    # dry and no sprinkler has weight 0
    assert law.site("sprinkler")[False] == F(1, 5) * F(99, 100) * F(4, 5)


def test_two_dice():
    law = exact(
        """
      model m(total: nat) {
        a ~ discrete_uniform(1, 6)
        b ~ discrete_uniform(1, 6)
        condition a + b >= total
        return a
      }
    """,
        {"total": 10},
    )
    assert law.results == {4: F(1, 36), 5: F(2, 36), 6: F(3, 36)}


def test_hidden_markov_model():
    law = exact(
        """
      fn row(table: [[prob]], k: nat) => categorical(table[k])
      model m(ys: [nat]) {
        let moves = [[1/2, 1/3, 1/6], [1/5, 3/5, 1/5], [1/7, 2/7, 4/7]]
        let shows = [[2/3, 1/3], [1/4, 3/4], [4/5, 1/5]]
        hs ~ scan h = 0 for y in ys {
          h ~ row(moves, h)
          observe y ~ row(shows, h)
          return h
        }
        return hs
      }
    """,
        {"ys": [1, 0, 1]},
    )
    moves = [[F(1, 2), F(1, 3), F(1, 6)], [F(1, 5), F(3, 5), F(1, 5)], [F(1, 7), F(2, 7), F(4, 7)]]
    shows = [[F(2, 3), F(1, 3)], [F(1, 4), F(3, 4)], [F(4, 5), F(1, 5)]]
    forward = [F(1), F(0), F(0)]
    for y in [1, 0, 1]:
        forward = [sum(forward[i] * moves[i][j] for i in range(3)) * shows[j][y] for j in range(3)]
    assert law.evidence == sum(forward)
    assert law.paths == 27
    assert sites(law) == {"hs[0]/h", "hs[1]/h", "hs[2]/h"}
    assert law.site("hs[2]/h") == {k: forward[k] for k in range(3)}


def test_monty_hall():
    """The host never opens the car's door; the player picked door 0 and sees door 2 opened."""
    law = exact("""
      model m() {
        car ~ discrete_uniform(0, 2)
        let doors = [[0, 1/2, 1/2], [0, 0, 1], [0, 1, 0]]
        observe 2 ~ categorical(doors[car])
        return car
      }
    """)
    assert law.results == {0: F(1, 6), 1: F(1, 3)}


def test_branches_with_unequal_traces():
    law = exact("""
      model m() {
        a ~ bernoulli(2/7)
        b ~ if a {
          x ~ bernoulli(1/3)
          y ~ bernoulli(1/5)
          return x and y
        } else { return a }
        return b
      }
    """)
    assert law.results == {True: F(2, 7) * F(1, 15), False: 1 - F(2, 7) * F(1, 15)}
    short = {drawn: w for (_, drawn), w in law.joint.items() if len(drawn) == 1}
    assert short == {frozenset({("a", False)}): F(5, 7)}
    assert sites(law) == {"a", "b/then/x", "b/then/y"}


def test_memoised_flips():
    """Each value is drawn once: asking twice adds nothing."""
    law = exact("""
      model m() {
        f ~ mem(fn (k: nat) => bernoulli(1/2))
        return indicator(f(0)) + indicator(f(3)) * indicator(f(0) == f(0))
      }
    """)
    assert law.results == {0: F(1, 4), 1: F(1, 2), 2: F(1, 4)}
    assert sites(law) == {"f[0]", "f[3]"}


def test_memoised_flips_of_two_functions_are_independent():
    law = exact("""
      fn coin(p: prob) { f ~ mem(fn (k: nat) => bernoulli(p))
                         return f }
      model m() {
        f ~ coin(1/3)
        g ~ coin(1/5)
        return (f(1), g(1))
      }
    """)
    assert law.results[True, True] == F(1, 15)


def test_geometric_recursion_runs_out_of_fuel():
    law = exact(
        """
      fn failures(p: prob) -> measure[nat] {
        done ~ bernoulli(p)
        if done { return 0 } else {
          n ~ failures(p)
          return n + 1
        }
      }
      model m() { n ~ failures(1/3)
                  return n }
    """,
        fuel=6,
    )  # one call of the model, five of the function
    assert law.results == {k: F(1, 3) * F(2, 3) ** k for k in range(5)}
    assert law.unfinished == F(2, 3) ** 5


def test_scores_multiply_and_may_exceed_one():
    law = exact("""
      model m() {
        x ~ categorical([1/7, 2/7, 4/7])
        factor log(3) + log(x) - log(2)
        factor if x == 1 { log(5/3) } else { 2 * log(1/3) }
        return x
      }
    """)
    assert law.results == {1: F(2, 7) * F(3, 2) * F(5, 3), 2: F(4, 7) * 3 * F(1, 9)}


def test_plates_folds_and_names():
    law = exact(
        """
      fn noisy(b) { c ~ bernoulli(if b { 2/3 } else { 1/5 })
                    return c }
      model m(flags: [bool]) {
        grid ~ for i in range(2) { for b in flags[1:] { dirac(i == 1) } }
        for b in flags { noisy(b) }
        noisy(grid[1][0])
        n ~ fold n = 0 for b in flags {
          dirac(b)
          c ~ noisy(b)
          return n + indicator(c)
        }
        return n
      }
    """,
        {"flags": [True, False, True]},
    )
    assert law.results == {
        0: F(1, 3) ** 2 * F(4, 5),
        1: 2 * F(2, 9) * F(4, 5) + F(1, 9) * F(1, 5),
        2: F(4, 9) * F(4, 5) + 2 * F(2, 9) * F(1, 5),
        3: F(4, 9) * F(1, 5),
    }
    assert sites(law) == {
        *(f"grid[{i},{j}]" for i in range(2) for j in range(2)),
        *(f"for[{i}]/noisy/c" for i in range(3)),
        "noisy/c",
        *(f"n[{i}]/dirac" for i in range(3)),
        *(f"n[{i}]/c/c" for i in range(3)),
    }


def test_measures_and_functions_as_values():
    law = exact("""
      fn twice(f, x) => f(f(x))
      fn both(a: measure[bool], b: dist[bool]) {
        x ~ a
        y ~ b
        condition x or y
        return (x, y)
      }
      model m() {
        k ~ categorical([1/2, 1/3, 1/6])
        let shift = [fn (i) => (i + 1) % 3, fn (i) => (2 * i) % 3, fn (i) => i][k]
        let d = if k == 2 { bernoulli(1/5) } else { bernoulli(3/5) }
        pair ~ both({ u ~ d
                      return not u }, d)
        return (twice(shift, k), pair.0)
      }
    """)

    # x is the negation of one draw from d, y is another one
    def conditioned(p: F) -> dict[bool, F]:
        return {True: 1 - p, False: p * p}

    assert law.results == {
        (2, True): F(1, 2) * conditioned(F(3, 5))[True] + F(1, 6) * conditioned(F(1, 5))[True],
        (2, False): F(1, 2) * conditioned(F(3, 5))[False] + F(1, 6) * conditioned(F(1, 5))[False],
        (1, True): F(1, 3) * conditioned(F(3, 5))[True],
        (1, False): F(1, 3) * conditioned(F(3, 5))[False],
    }


def test_distributions():
    law = exact("""
      model m() {
        a ~ binomial(3, 1/3)
        b ~ truncate(binomial(3, 1/3), lower=1)
        c ~ mixture([1/4, 3/4], [bernoulli(1/5), dirac(true)])
        d ~ iid(2, categorical([1/7, 6/7]))
        e ~ bernoulli([1/2, 1/3])
        observe [true, false] ~ bernoulli(1/5)
        return (a, b, c, d, e)
      }
    """)
    total = F(4, 25)
    assert law.evidence == total
    assert law.site("a")[2] == total * F(6, 27)
    assert law.site("b")[2] == total * F(6, 19)
    assert law.site("c")[True] == total * F(4, 5)
    assert law.site("d")[rational.Array((1, 0))] == total * F(6, 49)
    assert law.site("e")[rational.Array((True, False))] == total * F(1, 3)


def test_normalize_divides_by_the_evidence():
    law = exact("""
      model m() {
        x ~ bernoulli(1/3)
        let inner = normalize({
          y ~ bernoulli(1/5)
          condition y or x
          return y
        }, exact)
        y ~ inner
        return (x, y)
      }
    """)
    assert law.results == {(True, True): F(1, 15), (True, False): F(4, 15), (False, True): F(2, 3)}


@pytest.mark.parametrize(
    "line", ["x ~ normal(0, 1)", "x ~ geometric(1/3)", "factor 1/2", "x ~ categorical([1/2, 1/3])"]
)
def test_what_is_not_finite_is_refused(line: str):
    module = parse(Source("test.ppl", f"model m() {{ {line}\n return 1 }}"))
    with pytest.raises(rational.NotFinite):
        rational.law(module, "m")


@given(programs(features=FEATURES | MACHINE_FEATURES, paths=200))
@settings(max_examples=120)
def test_the_oracles_agree(program):
    module = parse(Source("generated.ppl", program.source))
    law = rational.law(module, program.model, program.data)
    joint, lost = weighted_paths.law(module, program.model, dict(program.data))
    assert lost == law.unfinished == 0
    assert distance(plain_joint(law), joint) < 1e-13
