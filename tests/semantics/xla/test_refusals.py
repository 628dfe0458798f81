"""What the compiled evaluator cannot run is refused by code, at its place in the text, with a way
out; an index or a cast that goes wrong in some runs is told with how many.

`ppl.infer` would send most of these programs to the machine, so they are given to XLA directly.
"""

from __future__ import annotations

import jax
import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import Diagnostic
from ppl.semantics.omega import Key
from ppl.semantics.xla.program import particles

Y = np.array([0.3, 1.2, -0.7])
FEW = ppl.importance(particles=7)

REFUSED = {
    "branches of two sizes": (
        "E701",
        "b ~ bernoulli(0.3)\n"
        "let xs = if b { [1.0, 2.0] } else { [1.0, 2.0, 3.0] }\n"
        "observe sum(xs) ~ normal(0, 1)",
        "if b { [1.0, 2.0] } else { [1.0, 2.0, 3.0] }",
    ),
    "a random text": (
        "E701",
        'let words = ["a", "b"]\nk ~ categorical([0.2, 0.8])\nreturn words[k]',
        '["a", "b"]',
    ),
    "a carried text": (
        "E701",
        'w ~ fold w = "a" for y in ys {\n'
        "  observe y ~ normal(0, 1)\n"
        '  return if w == "a" { "b" } else { "a" }\n'
        "}",
        None,
    ),
    "a function that grows": (
        "E701",
        "f ~ fold f = fn (x: real) => x for y in ys {\n"
        "  s ~ normal(y, 1)\n"
        "  return fn (x: real) => f(x) + s\n"
        "}\n"
        "return f(1.0)",
        None,
    ),
    "a random size": ("E702", "k ~ poisson(3)\nx ~ for _ in range(k) { normal(0, 1) }", "range(k)"),
    "a random selection": (
        "E702",
        "x ~ for _ in ys { normal(0, 1) }\nreturn sum([v for v in x if v > 0])",
        "[v for v in x if v > 0]",
    ),
    "an index outside": ("E703", "x ~ normal(ys[7], 1)", "ys[7]"),
    "a slice outside": ("E703", "x ~ normal(sum(ys[1:7]), 1)", "ys[1:7]"),
    "a family chosen inside": (
        "E705",
        "b ~ bernoulli(0.3)\n"
        "let d = if b { normal(0, 1) } else { cauchy(0, 2) }\n"
        "x ~ truncate(d, lower=0.5)",
        None,
    ),
    "an inductive value": ("E706", "return match Node(Leaf, 1.5) { Leaf => 0, _ => 1 }", None),
    "a loop without a bound whose state grows": (
        "E715",
        "x ~ iterate x = [0.0] until sum(x) > 2 {\n  e ~ normal(0, 1)\n  return concat(x, [e])\n}",
        None,
    ),
    "recursion without a bound": ("E707", "x ~ walk(0.0)", None),
    "no sampler": ("E801", "s ~ flat()\nreturn s", "flat()"),
}


def target_of(body: str) -> ppl.Target:
    source = f"""type chain = Leaf | Node(chain, real)
fn walk(x: real) -> measure[real] {{
  e ~ normal(0, 1)
  if x + e > 2 {{ return x + e }} else {{ y ~ walk(x + e)
    return 2 * y }}
}}
model m(ys: [real]) {{
{body}
}}"""
    return ppl.compile(source).m(ys=Y)


def diagnostic(body: str, method: object) -> Diagnostic:
    with pytest.raises(ppl.DiagnosticError) as error:
        ppl.infer(target_of(body), method, progress=False)
    (found,) = error.value.diagnostics
    return found


@pytest.mark.parametrize(("code", "body", "place"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_compile_is_refused_at_its_place(code, body, place):
    target = target_of(body)
    with pytest.raises(ppl.DiagnosticError) as error:
        target.bound.forward(target.data, Key(jax.random.key(0)), (particles(7),))
    (found,) = error.value.diagnostics
    assert found.code == code
    assert found.hint
    assert found.span is not None
    if place is not None:
        assert found.span.text == place


def test_an_index_that_leaves_the_array_in_some_runs():
    """Categories 0 to 3 of an array of three: with 40 runs at 1/2 each, all or none do so with
    probability 2^-39."""
    found = diagnostic(
        "k ~ categorical([0.2, 0.2, 0.1, 0.5])\nx ~ normal(ys[k], 1)",
        ppl.importance(particles=40),
    )
    assert found.code == "E709"
    assert found.span is not None and found.span.text == "ys[k]"
    assert "of 40 runs" in found.message and "40 of 40" not in found.message


def test_a_cast_that_fails_in_some_runs():
    """A normal of mean 0 is negative in about half of 40 runs."""
    found = diagnostic("x ~ normal(0, 1)\nreturn sqrt(x as pos)", ppl.importance(particles=40))
    assert found.code == "E710"
    assert found.span is not None and found.span.text == "x as pos"
    assert "of 40 runs" in found.message and "40 of 40" not in found.message


def test_a_continuous_site_has_no_exact_sum():
    found = diagnostic("x ~ normal(0, 1)\nreturn x", ppl.exact())
    assert found.code == "E807"
    assert "`x`" in found.message and found.hint


def test_a_function_of_a_posterior_refuses_what_is_no_number():
    model = ppl.compile("model m() { a ~ normal(0, 1); return fn (x: real) => a + x }").m
    posterior = ppl.infer(model(), FEW, progress=False)
    with pytest.raises(ppl.DiagnosticError) as error:
        posterior.result(object())
    assert error.value.diagnostics[0].code == "E609"
