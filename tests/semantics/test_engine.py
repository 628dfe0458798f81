"""Which engine runs a program, with reasons in the user's own lines; and that both agree."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings

import ppl
from ppl.semantics.engine import choose
from ppl.semantics.machine import enumerate_paths
from ppl.semantics.machine.paths import split
from ppl.verify.programs import programs

HEAD = """
type list = Nil | Cons(nat, list)
fn fact(n: nat) -> nat { if n == 0 { 1 } else { n * fact(n - 1) } }
fn walk(n: nat) -> measure[nat] {
  x ~ bernoulli(0.5)
  if x { return n } else { walk(n + 1) }
}
fn gcd(a: nat, b: nat) -> nat { if b == 0 { a } else { gcd(b, a % b) } }
fn pairs(n: nat) -> measure[nat] {
  x ~ bernoulli(0.3)
  if x { a ~ pairs(n); b ~ pairs(n); return a + b } else { return n }
}
fn still(i: nat, z: nat) -> measure[nat] {
  if i == 3 { return z } else {
    x ~ bernoulli(0.5)
    if x { still(i + 1, z) } else { a ~ still(i, z + 1); return a + 1 }
  }
}
fn sized(n: nat) -> measure[nat] {
  xs ~ for _ in range(n) { bernoulli(0.5) }
  if any(xs) { return n } else { sized(n + 1) }
}
"""
XLA = {
    "a plate of data": "xs ~ for _ in range(n) { normal(0, 1) }; return xs",
    "recursion on a constant": "x ~ normal(fact(4), 1); return x",
    "a comprehension over a range": (
        "let ks = [i for i in range(n) if i > 1]; x ~ normal(sum(ks), 1); return x"
    ),
    "a bounded loop": (
        "x ~ iterate a = 0 until a > 3 max n { k ~ poisson(1); return a + k }; return x"
    ),
    "a loop without a bound": "x ~ iterate a = 0 until a > 3 { k ~ poisson(1); return a + k }; return x",
    "tail recursion": "x ~ walk(0); return x",
    "pure tail recursion": "x ~ poisson(3); return gcd(12, x)",
    "repeats of measures": "w ~ iid(3, flat()); for v in w { observe 1.5 ~ normal(v, 1) }; return w",
    "slices": "x ~ normal(0, 1); observe ys[1:len(ys)] ~ normal(x, 1); return x",
}
MACHINE = {
    "recursion": ("x ~ pairs(1); return x", "pairs(n)"),
    "recursion in which nothing known changes": ("x ~ still(0, 1); return x", "still(i, z + 1)"),
    "a size that a recursion changes": ("x ~ sized(1); return x", "n"),
    "recursion on data": ("x ~ normal(fact(n), 1); return x", "fact(n - 1)"),
    "mem": (
        "f ~ mem(fn (k: nat) => normal(0, 1)); return f(0)",
        "mem(fn (k: nat) => normal(0, 1))",
    ),
    "lazy": ("x ~ lazy(normal(0, 1)); return x", "lazy(normal(0, 1))"),
    "nested": (
        "x ~ normalize(bernoulli(0.5), exact); return x",
        "normalize(bernoulli(0.5), exact)",
    ),
    "a random size": ("m ~ poisson(3); xs ~ for _ in range(m) { normal(0, 1) }; return xs", "m"),
    "a loop whose state grows": (
        "x ~ iterate a = [1] until sum(a) > 3 { k ~ poisson(1); return concat(a, [k]) }; return x",
        "concat(a, [k])",
    ),
    "a constructor": (
        "x ~ bernoulli(0.5); return Cons(indicator(x), Nil)",
        "Cons(indicator(x), Nil)",
    ),
    "a random filter": ("x ~ poisson(3); return [i for i in range(5) if i > x]", "[i for"),
}


def program(body: str):
    body = "\n".join(body.split("; "))
    return ppl.compile(f"{HEAD}model main(n: nat, ys: [real]) {{\n{body}\n}}").main.program


@pytest.mark.parametrize("body", XLA.values(), ids=XLA)
def test_programs_of_known_shape_run_on_xla(body):
    assert choose(program(body)).reasons == ()
    assert choose(program(body)).name == "xla"


@pytest.mark.parametrize(("body", "culprit"), MACHINE.values(), ids=MACHINE)
def test_the_reason_for_the_machine_is_shown_in_the_source(body, culprit):
    chosen = choose(program(body))
    assert chosen.name == "machine"
    shown = [n.span.text for n in chosen.reasons if n.span is not None]
    assert len(shown) == len(chosen.reasons)
    assert any(text.startswith(culprit) for text in shown), shown


def law(values: Any, weights: Any) -> dict[Any, float]:
    out: defaultdict[Any, float] = defaultdict(float)
    for v, w in zip(values, weights, strict=True):
        out[v] += float(w)
    return dict(out)


def hashable(x: Any) -> Any:
    if isinstance(x, dict):
        return tuple((k, hashable(v)) for k, v in sorted(x.items()))
    if isinstance(x, (list, tuple)):
        return tuple(map(hashable, x))
    return round(float(x), 9)


def rows(tree: Any, i: int) -> Any:
    if isinstance(tree, dict):
        return {k: rows(v, i) for k, v in tree.items()}
    if isinstance(tree, tuple):
        return tuple(rows(v, i) for v in tree)
    return np.asarray(tree)[0, i].tolist()


@given(programs(paths=60))
@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_both_engines_give_one_measure(program):
    """The law of the result, the evidence and the names of all sites, exact on each engine."""
    target = ppl.compile(program.source)[program.model](**program.data)
    posterior = ppl.infer(target, ppl.exact(), progress=False)
    n = posterior.shape[1]
    weights = np.exp(np.asarray(posterior.log_weights)[0])
    on_xla = law((hashable(rows(posterior.result, i)) for i in range(n)), weights)
    paths = enumerate_paths(target.model.machine, target.values)
    on_machine = law((hashable(p.execution.result) for p in paths), (p.weight for p in paths))
    assert on_machine == pytest.approx(on_xla, abs=1e-10)
    sites = {split(path)[0] for p in paths for path in p.execution.trace}
    for site in sites:  # where one of several families is drawn from, XLA adds which
        assert any(k == site or k.startswith(f"{site}/option") for k in posterior.draws), site
