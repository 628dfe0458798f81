"""The modules of the standard library: lists and streams by value, random objects by their laws.

Exact where the law is finite or known in closed form given the draws. Statistical tests have fixed
seeds; each of their comparisons is a z test that fails with probability 1e-6 if the law is right.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_verify import verify
from ppl.semantics.machine import MachineKey, Suspended, enumerate_paths
from ppl.semantics.machine.code import DONE
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.state import State

Z = 4.9  # the quantile of 1 - 5e-7


def value(expression: str, imports: str = "import lists"):
    m = ppl.compile(f"{imports}\nmodel m() {{ return {expression} }}").m
    verify(m.program)
    return m.machine.run({}, MachineKey(1)).result


def runs(text: str, n: int, **data) -> list:
    """Results of n independent runs."""
    m = ppl.compile(text).m
    given = m.machine.bind(m(**data).values)
    return [m.machine.run(given, MachineKey(7, 0, i), record=False).result for i in range(n)]


def law(text: str, **data) -> dict:
    """The probability of every result, by enumeration."""
    m = ppl.compile(text).m
    out = defaultdict(float)
    for path in enumerate_paths(m.machine, m(**data).values):
        result = path.execution.result
        out[tuple(result)] += path.probability * math.exp(path.execution.log_weight)
    return out


def assert_mean(xs, mean: float) -> None:
    xs = np.asarray(xs, float)
    assert abs(xs.mean() - mean) < Z * max(xs.std(ddof=1), 1e-12) / math.sqrt(len(xs)), xs.mean()


# -------------------------------------------------------------------------------- lists, streams

XS = "lists.from_array([3, 1, 4, 1, 5])"


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (f"lists.to_array({XS})", [3, 1, 4, 1, 5]),
        (f"lists.length({XS})", 5),
        (f"lists.to_array(lists.reversed({XS}))", [5, 1, 4, 1, 3]),
        (f"lists.to_array(lists.append({XS}, lists.Cons(9, lists.Nil)))", [3, 1, 4, 1, 5, 9]),
        (f"lists.to_array(lists.onto({XS}, {XS}))", [5, 1, 4, 1, 3, 3, 1, 4, 1, 5]),
        (f"lists.to_array(lists.map(fn (x) => x / 2, {XS}))", [1.5, 0.5, 2.0, 0.5, 2.5]),
        (f"lists.to_array(lists.filter(fn (x) => x > 1, {XS}))", [3, 4, 5]),
        (f"lists.to_array(lists.take(2, {XS}))", [3, 1]),
        (f"lists.to_array(lists.take(9, {XS}))", [3, 1, 4, 1, 5]),
        (f"lists.to_array(lists.drop(3, {XS}))", [1, 5]),
        (f"lists.to_array(lists.drop(9, {XS}))", []),
        (f"or_else(lists.first({XS}), 0)", 3),
        (f"or_else(lists.first(lists.drop(5, {XS})), 0)", 0),
        (f"lists.is_empty({XS})", False),
        (f'lists.reduce(fn (s, x) => s + text(x), "", {XS})', "31415"),
        (f"lists.length(lists.map(fn (x) => (x, text(x)), {XS}))", 5),
    ],
)
def test_lists(expression, wanted):
    assert value(expression) == wanted


def test_long_lists_are_no_deeper_than_short_ones():
    e = "lists.length(lists.append(lists.map(fn (x) => x + 1, xs), lists.filter(fn (x) => x > 9, xs)))"
    assert value(f"{{ let xs = lists.from_array(range(20000)); {e} }}") == 20_000 + 19_990


NAT = "streams.from_function(fn (n) => n^2)"


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (f"streams.take(4, {NAT})", [0, 1, 4, 9]),
        (f"streams.element({NAT}, 30)", 900),
        (f"streams.first(streams.rest({NAT}))", 1),
        (f"streams.take(2, streams.drop(3, {NAT}))", [9, 16]),
        (f"streams.take(3, streams.before(7, {NAT}))", [7, 0, 1]),
        (f"streams.take(3, streams.map(fn (x) => x + 0.5, {NAT}))", [0.5, 1.5, 4.5]),
        (f"streams.take(3, streams.filter(fn (x) => x % 2 == 1, {NAT}))", [1, 9, 25]),
        ("streams.take(4, streams.iterated(fn (x) => 3 * x, 2))", [2, 6, 18, 54]),
    ],
)
def test_streams(expression, wanted):
    assert value(expression, "import streams") == wanted


def test_elements_of_a_random_stream_are_drawn_once_and_only_when_asked_for():
    text = """
import streams
model m() {
  xs ~ streams.draws(bernoulli(0.25))
  let ys = streams.map(fn (x) => not x, xs)
  return (streams.element(ys, 2), streams.element(xs, 2), streams.first(ys))
}
"""
    assert len(ppl.compile(text).m.machine.run({}, MachineKey(1)).sites) == 2  # elements 2 and 0
    assert {k: round(p, 12) for k, p in law(text).items()} == {
        (False, True, False): 0.0625,
        (False, True, True): 0.1875,
        (True, False, False): 0.1875,
        (True, False, True): 0.5625,
    }


# ------------------------------------------------------------------------ restaurants and sticks


def test_seats_have_the_law_of_the_chinese_restaurant():
    """Exactly: alpha^tables · prod (size - 1)! / (alpha (alpha + 1) (alpha + 2) (alpha + 3))."""
    alpha = 1.5
    text = "import processes\nmodel m(alpha: pos) { s ~ processes.seats(4, alpha); return s }"
    assert ppl.compile(text).m.engine.name == "xla"
    found = {k: p for k, p in law(text, alpha=alpha).items() if p}
    wanted = {}
    for seats in itertools.product(range(4), repeat=4):
        if all(t <= max((-1, *seats[:i])) + 1 for i, t in enumerate(seats)):
            sizes = [seats.count(t) for t in set(seats)]
            rising = math.prod(alpha + i for i in range(4))
            orders = math.prod(math.factorial(n - 1) for n in sizes)
            wanted[seats] = alpha ** len(sizes) * orders / rising
    assert found.keys() == wanted.keys() and len(wanted) == 15
    for seats, p in wanted.items():
        assert math.isclose(found[seats], p, rel_tol=1e-12), seats


def test_the_restaurant_seats_as_many_together():
    """P(0 and 3 sit together) = 1 / (1 + alpha), and 0, 1 and 2: 2 / ((1 + alpha) (2 + alpha))."""
    text = """
import processes
model m(alpha: pos) { t ~ processes.restaurant(alpha); return (t(3), t(0), t(1), t(2)) }
"""
    alpha, found = 0.7, runs(text, 4_000, alpha=0.7)
    assert_mean([a == b for a, b, *_ in found], 1 / (1 + alpha))
    together = [a == b == c for _, a, b, c in found]
    assert_mean(together, 2 / ((1 + alpha) * (2 + alpha)))


def test_pieces_of_a_stick():
    """E weight(k) = (alpha / (1 + alpha))^k / (1 + alpha); a piece is picked by its length."""
    alpha = 1.3
    text = """
import processes
model m(alpha: pos) {
  part ~ processes.sticks(alpha)
  k ~ processes.pick(part)
  w ~ processes.stick_weights(alpha, 3)
  return (processes.weight(part, 2), k, w, sum([processes.weight(part, j) for j in range(6)]))
}
"""
    found = runs(text, 3_000, alpha=alpha)
    ratio = alpha / (1 + alpha)
    assert_mean([w for w, *_ in found], ratio**2 / (1 + alpha))
    for k in range(3):
        assert_mean([j == k for _, j, *_ in found], ratio**k / (1 + alpha))
    weights = np.array([w for _, _, w, _ in found])
    assert np.allclose(weights.sum(1), 1, rtol=1e-12)
    assert_mean(weights[:, 1], ratio / (1 + alpha))
    assert_mean(weights[:, 2], ratio**2)
    assert_mean([s for *_, s in found], 1 - ratio**6)


def test_draws_from_a_dirichlet_process():
    """Each has the law of the base; two are equal with probability 1 / (1 + alpha)."""
    text = """
import processes
model m(alpha: pos) {
  g ~ processes.dirichlet_process(alpha, normal(2, 3))
  a ~ g
  b ~ g
  return (a, b)
}
"""
    found = np.array(runs(text, 4_000, alpha=1.7))
    a, b = found.T
    assert_mean(a, 2)
    assert_mean((b - 2) ** 2, 9)
    assert_mean(a == b, 1 / 2.7)
    # given the process they are independent: their covariance is that of the atoms they share
    assert_mean((a - 2) * (b - 2), 9 / 2.7)


# ------------------------------------------------------------------------------ Poisson processes


def test_points_of_a_poisson_process():
    """Counts have mean and variance rate · length, those of disjoint parts are independent."""
    text = "import processes\nmodel m() { x ~ processes.poisson_process(1.5, -1, 2); return x }"
    found = runs(text, 3_000)
    assert all(x == sorted(x) and all(-1 <= t <= 2 for t in x) for x in found)
    n = np.array([len(x) for x in found])
    assert_mean(n, 4.5)
    assert_mean((n - 4.5) ** 2, 4.5)
    left = np.array([sum(t < 0 for t in x) for x in found])
    assert_mean(left, 1.5)
    assert_mean((left - 1.5) * (n - left - 3), 0)


def test_thinned_and_endless_processes():
    text = """
import processes
model m() {
  x ~ processes.thinned_process(fn (t) => abs(t), 2, 0, 2)
  t ~ processes.arrivals(2.5)
  return (x, t(3), t(1), t(3))
}
"""
    found = runs(text, 3_000)
    n = np.array([len(x) for x, *_ in found])
    assert_mean(n, 2)  # the integral of the rate
    assert_mean((n - 2) ** 2, 2)
    assert_mean([sum(t > 1 for t in x) for x, *_ in found], 1.5)
    assert_mean([t for _, t, *_ in found], 4 / 2.5)
    assert_mean([(t - 4 / 2.5) ** 2 for _, t, *_ in found], 4 / 2.5**2)
    assert all(b < a == c for _, a, b, c in found)


# ----------------------------------------------------------------------------- Gaussian processes

GP = """
import processes
model m(xs: [real]) {
  f ~ gaussian_process(
    fn (x) => 2 * x - 1,
    processes.sum_of(processes.squared_exponential(1.5, 0.8), processes.linear(0.5))
  )
  return [f(x) for x in xs]
}
"""


def gp_moments(xs):
    xs = np.asarray(xs)
    d = xs[:, None] - xs
    return 2 * xs - 1, 2.25 * np.exp(-(d**2) / (2 * 0.64)) + 0.25 * xs[:, None] * xs


def test_values_are_drawn_from_their_conditional_laws():
    """Means and standard deviations that the process drew with, against the textbook's formula."""
    m = ppl.compile(GP).m
    xs = [0.3, -1.2, 2.0, 0.9, 0.3, -0.4]
    run = m.machine.run(m.machine.bind(m(xs=xs).values), MachineKey(3))
    ys = np.array(run.result)
    assert ys[4] == ys[0] and len(run.sites) == 5
    rows = {k[1][1]: v for k, v in run.state.frozen_memo().items() if k[1][0] == "asked"}
    order = [0, 1, 2, 3, 5]
    mean, cov = gp_moments(np.array(xs)[order])
    for n, (x, _, at, sd) in sorted(rows.items()):
        assert x == xs[order[n]]
        gain = np.linalg.solve(cov[:n, :n], cov[:n, n])
        assert math.isclose(at, mean[n] + gain @ (ys[order[:n]] - mean[:n]), rel_tol=1e-8)
        assert math.isclose(sd**2, cov[n, n] - gain @ cov[:n, n], rel_tol=1e-7)
    assert len(rows) == 5


def test_values_are_jointly_normal_in_whatever_order():
    xs = [0.5, -1.0, 1.3]
    ys = np.array(runs(GP, 3_000, xs=xs))
    mean, cov = gp_moments(xs)
    for i in range(3):
        assert_mean(ys[:, i], mean[i])
        for j in range(i + 1):
            assert_mean((ys[:, i] - mean[i]) * (ys[:, j] - mean[j]), cov[i, j])


def test_a_value_that_is_determined_is_not_drawn():
    """Straight lines through 0: one value says all."""
    m = ppl.compile(
        "import processes\n"
        "model m() { f ~ gaussian_process(fn (x) => 1, processes.linear(2)); return (f(1), f(3), f(0)) }"
    ).m
    run = m.machine.run({}, MachineKey(1))
    a, b, c = run.result
    assert math.isclose(b - 1, 3 * (a - 1), rel_tol=1e-9) and c == 1 and len(run.sites) == 1


def test_the_function_goes_on_after_the_run():
    m = ppl.compile(GP.replace("return [f(x) for x in xs]", "return (f(0.5), f)")).m
    y, f = m.machine.run(m.machine.bind(m(xs=[0.0]).values), MachineKey(1)).result
    assert f(0.5) == y and f(0.7) == f(0.7) != y
    again = m.machine.run(m.machine.bind(m(xs=[0.0]).values), MachineKey(1)).result
    assert again[0] == y


def test_twins_agree():
    """Direct code, blocks, and a run that is suspended and resumed draw the same values."""
    m = ppl.compile(GP).m
    data = m.machine.bind(m(xs=[0.3, -1.2, 2.0]).values)
    wanted = m.machine.run(data, MachineKey(3), record=False).result
    code = m.machine.code(Options(suspends=True))
    blocks = code.drive(
        State(MachineKey(3), code), (code._block, DONE, code.root, *data.values), None
    )
    assert list(blocks) == wanted
    at = m.machine.start(data, record=False)
    while isinstance(at, Suspended):
        at = at.resume(MachineKey(3))
    assert at.result == wanted


def test_what_is_no_kernel_is_refused():
    m = ppl.compile(
        "model m() { f ~ gaussian_process(fn (x) => 0, fn (a, b) => 1 + abs(a - b)); return f(0) + f(2) }"
    ).m
    with pytest.raises(DiagnosticError) as error:
        m.machine.run({}, MachineKey(1))
    (problem,) = error.value.diagnostics
    assert problem.code == "E873" and problem.span is not None


def test_gaussian_values_run_on_xla():
    m = ppl.compile("""
import processes
model m(xs: [real]) {
  y ~ processes.gaussian_values(fn (x) => x, processes.matern(2, 1.5), xs)
  return y
}
""").m
    assert m.engine.name == "xla"
    mean, d = np.array([0.0, 1.0, 2.5]), np.abs(np.subtract.outer([0.0, 1.0, 2.5], [0.0, 1.0, 2.5]))
    cov = 4 * (1 + math.sqrt(3) * d / 1.5) * np.exp(-math.sqrt(3) * d / 1.5)
    y = np.array([0.4, 0.1, 3.0])
    found = m.machine.run(m.machine.bind(m(xs=mean).values), MachineKey(1))
    assert len(found.result) == 3
    from scipy.stats import multivariate_normal

    wanted = multivariate_normal(mean, cov + 1e-8 * np.eye(3)).logpdf(y)
    scored = ppl.compile("""
import processes
model m(xs: [real], y: [real]) {
  z ~ normal(0, 1)
  observe y ~ multi_normal([x for x in xs], add_diag(gram(processes.matern(2, 1.5), xs, xs), 1e-8))
  return z
}
""").m
    run = scored.machine.run(scored.machine.bind(scored(xs=mean, y=y).values), MachineKey(1))
    assert math.isclose(run.log_weight, wanted, rel_tol=1e-9)
