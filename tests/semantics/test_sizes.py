"""Sizes that do not agree are refused by name, a length of 1 too, before anything runs."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.precision import precision

REGRESSION = "observe y ~ normal(b * x, 1)"


def trace(observation: str, **data: Any) -> None:
    """Build the log density of a model with a latent b and this observation; compile nothing."""
    text = "model m(x: [real], y: [real]) {\n  b ~ normal(0, 1)\n  %s\n  return b\n}"
    target = ppl.compile(text % observation).m(**data)
    with precision():
        jax.eval_shape(target.log_density, {"b": np.zeros(())})


@pytest.mark.parametrize(
    ("observation", "x", "y", "says"),
    [
        (REGRESSION, 2, 3, "observed has 3 elements, and the distribution draws 2 elements"),
        (REGRESSION, 1, 3, "the distribution draws 1 element"),
        (REGRESSION, 3, 1, "observed has 1 element, "),
        ("observe y ~ normal(b, [1, 2])", 0, 3, "draws 2 elements"),
        ("observe y ~ normal(x, [1, 2])", 3, 3, "arguments of `normal` have 3 elements and 2"),
        ("observe y ~ normal(x, [1])", 3, 3, "arguments of `normal` have 3 elements and 1 element"),
        ("observe y ~ iid(3, normal(b, 1))", 0, 1, "draws 3 elements"),
        ("observe y ~ multi_normal([b, b], identity(3))", 0, 3, "2 elements and 3 x 3 elements"),
        ("observe y ~ multi_normal([b, b], identity(2))", 0, 3, "draws 2 elements"),
        ("observe y ~ multi_normal([b, b], identity(2))", 0, 1, "draws 2 elements"),
    ],
)
def test_sizes_that_do_not_agree(observation, x, y, says):
    with pytest.raises(DiagnosticError) as raised:
        trace(observation, x=np.ones(x), y=np.ones(y))
    (problem,) = raised.value.diagnostics
    assert problem.code == "E704" and says in problem.message
    assert problem.span is not None and problem.span.text in observation


@pytest.mark.parametrize(
    ("observation", "x", "y"),
    [
        (REGRESSION, 3, 3),
        (REGRESSION, 1, 1),
        ("observe y ~ normal(b, 1)", 0, 3),
        ("observe y ~ normal(b, [1, 2, 3])", 0, 3),
        ("observe y ~ multi_normal([b, b], identity(2))", 0, 2),
        ("for v in y { observe v ~ mixture([0.3, 0.7], [normal(b, 1), normal(0, 2)]) }", 0, 3),
    ],
)
def test_sizes_that_agree(observation, x, y):
    trace(observation, x=np.ones(x), y=np.ones(y))


def test_the_arguments_are_named():
    with pytest.raises(DiagnosticError) as raised:
        trace("observe y ~ normal(b * x, [1, 2])", x=[1.0, 2.0, 3.0], y=[1.0, 2.0, 3.0])
    notes = [n.message for n in raised.value.diagnostics[0].notes]
    assert notes == ["`b * x` has 3 elements", "`[1, 2]` has 2 elements"]


STATISTICS = ppl.compile("""
model of(y: [real]) { a ~ normal(0, 1); return {m: mean(y), s: sd(y), v: var(y)} }
model average(y: [real]) { a ~ normal(0, 1); return mean(y) }
model untaken(y: [real]) {
  a ~ bernoulli(0.5)
  condition not a
  return if a { mean(y) } else if len(y) > 1 { sd(y) } else { 7 }
}
model groups(y: [[real]]) { m ~ for row in y { return mean(row) }; return m }
model quotients(n: nat, k: nat) {
  a ~ bernoulli(0.4)
  return if a { [n // k, n % k] } else { [7 // (k + 1), 7 % 3] }
}
model products(X: [[real]], v: [real], w: [real]) { a ~ normal(0, 1); return (X @ v, w @ X, sum(X @ v)) }
""")
ENGINES = pytest.mark.parametrize("engine", ["xla", "machine"])


def ran(target: Any, engine: str) -> Any:
    method = ppl.importance(particles=6)
    posterior = ppl.infer(target, method, engine=engine, progress=False)
    return jax.tree.map(lambda x: x[posterior.weights > 0], posterior.result)


@ENGINES
def test_statistics_of_too_few_numbers(engine):
    for model, y, says in (
        ("average", [], "`mean` needs a number at least, and the array has none"),
        ("of", [0.4], "`(sd|var)` needs 2 numbers at least, and the array has 1"),
        ("groups", [[], [], []], "`mean` needs a number"),
    ):
        with pytest.raises(DiagnosticError, match=rf"E719(.|\n)*{says}"):
            ran(STATISTICS[model](y=y), engine)
    assert (ran(STATISTICS.untaken(y=[]), engine) == 7).all()
    assert ran(STATISTICS.groups(y=np.zeros((0, 2))), engine).shape[1:] == (0,)
    found = ran(STATISTICS.of(y=[1.0, 2.0, 6.0]), engine)
    assert np.allclose([found["m"][0], found["v"][0], found["s"][0]], [3, 7, 7**0.5], atol=1e-12)


@ENGINES
def test_products_of_empty_matrices(engine):
    products = STATISTICS.products
    X = np.zeros((0, 3))
    tall, _, total = ran(products(X=X, v=[1.0, 2.0, 3.0], w=[]), engine)
    assert tall.shape[1:] == (0,) and (total == 0).all()
    wide, other, total = ran(products(X=np.zeros((2, 0)), v=[], w=[1.0, 2.0]), engine)
    assert (wide == 0).all() and wide.shape[1:] == (2,)
    assert other.shape[1:] == (0,) and (total == 0).all()


@ENGINES
def test_whole_numbers_are_not_divided_by_zero(engine):
    """Where a run does it: not in the branch that is not taken."""
    quotients = STATISTICS.quotients
    for n in (5, 0):
        with pytest.raises(DiagnosticError, match="E727"):
            ran(quotients(n=n, k=0), engine)
    found = ran(quotients(n=11, k=4), engine)
    assert {tuple(row) for row in found.tolist()} == {(2, 3), (1, 1)}
    other = ran(quotients(n=5, k=0).given(a=False), engine)
    assert {tuple(row) for row in other.tolist()} == {(7, 1)}
