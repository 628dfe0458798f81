"""Holes in data keep the measure: every draw's weight, and the exact law of finite programs.

`draw_holes` draws them from base measures where the model begins, `fuse_holes` from what they are
observed under. The expected values are written by hand with NumPy and SciPy.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.holes import option_leaves
from ppl.semantics.ir_parse import read
from ppl.semantics.ir_print import show
from ppl.semantics.ir_verify import verify

ENGINES = ("xla", "machine")

# every way in which data are observed, with a hole in each, one that is first, and later uses
FORMS = ppl.compile("""
model forms(mu: real, sd: [pos], a: [real?], m: [[real?]], rows: [{u: real?, b: bool?, w: real}],
            c: [nat?], g: [pos?], q: [real?], h: [real?], p: {k: prob?, n: (int, real?)}) {
  for (v, s) in zip(a, sd) { observe v ~ normal(mu, s); factor 0.1 * v }
  for row in m { observe row ~ normal(mu, sd) }
  for r in rows {
    observe r.u ~ normal(r.w, 2)
    observe r.b ~ bernoulli(if r.u > 0 { 0.8 } else { 0.3 })
  }
  for i in range(len(c)) { observe c[i] ~ geometric(0.3) }
  observe g ~ normal(mu, 2)
  observe q[0] ~ normal(0, 1)
  last ~ fold prev = q[0] for (i, v) in enumerate(q[1:]) {
    observe v ~ normal(0.6 * prev, 0.5 + i)
    return v
  }
  observe h ~ iid(3, cauchy(last, 1))
  observe p.k ~ uniform(0, 1)
  if p.k > 0.4 { observe p.n.1 ~ normal(5, 1) } else { observe p.n.1 ~ normal(-5, 2) }
  factor 0.3 * a[1] + 0.2 * q[2] * m[1, 0] + (if rows[0].b { 0.5 } else { 0 }) + p.n.1
  return {last, second: rows[1].u, sizes: len(g)}
}
""").forms
_ = None
DATA: dict[str, Any] = {
    "mu": 0.4,
    "sd": [1.0, 2.0, 0.5],
    "a": [_, _, 1.5],
    "m": [[0.3, _, -1.0], [_, 0.2, 0.7], [1.1, 0.4, _], [0.0, 2.0, 0.6]],
    "rows": [
        {"u": 0.3, "b": _, "w": 1.0},
        {"u": _, "b": True, "w": -2.0},
        {"u": _, "b": _, "w": 0.5},
    ],
    "c": [2, _, 5, _],
    "g": [1.0, _, 0.2],
    "q": [_, 0.5, _, 2.0],
    "h": [0.1, _, 3.0],
    "p": {"k": _, "n": (3, _)},
}


def filled(posterior: ppl.Posterior, name: str, data: Any) -> np.ndarray:
    """The draws of a parameter that have mass, the data where they are not missing, (draw, …)."""
    data = np.array(data, float)
    draws = np.asarray(posterior[name][0], float)[posterior.log_weights[0] > -np.inf]
    assert draws.shape[1:] == data.shape
    assert (np.isnan(draws) == ~np.isnan(data)).all(), "just the holes are drawn"
    return np.where(np.isnan(data), draws, data)


def score(law: Any, values: np.ndarray, data: Any) -> np.ndarray:
    """The log density of the elements that are not missing, summed; one number a draw."""
    there = ~np.isnan(np.array(data, float))
    density = law.logpdf if hasattr(law.dist, "logpdf") else law.logpmf
    scores = np.broadcast_to(density(values), values.shape)
    return np.where(there, scores, 0).reshape(len(values), -1).sum(1)


def column(field: str) -> list[Any]:
    return [row[field] for row in DATA["rows"]]


def expected(posterior: ppl.Posterior) -> np.ndarray:
    """The log weight of every draw of FORMS that has mass."""
    a, m, c, g, q, h = (filled(posterior, k, DATA[k]) for k in "amcgqh")
    u, b = filled(posterior, "rows.u", column("u")), filled(posterior, "rows.b", column("b"))
    k, e = filled(posterior, "p.k", _), filled(posterior, "p.n.1", _)
    mu, sd = DATA["mu"], np.array(DATA["sd"])
    norm = stats.norm
    total = score(norm(mu, sd), a, DATA["a"]) + 0.1 * a.sum(1)
    total += score(norm(mu, sd), m, DATA["m"])
    total += score(norm(np.array(column("w")), 2), u, column("u"))
    total += score(stats.bernoulli(np.where(u > 0, 0.8, 0.3)), b, column("b"))
    total += score(stats.geom(0.3, -1), c, DATA["c"]) + score(norm(mu, 2), g, DATA["g"])
    assert (g >= 0).all(), "what its type excludes has no mass"
    total += score(norm(0, 1), q[:, :1], DATA["q"][:1])
    total += score(norm(0.6 * q[:, :-1], 0.5 + np.arange(3)), q[:, 1:], DATA["q"][1:])
    total += score(stats.cauchy(q[:, -1:], 1), h, DATA["h"])
    assert ((k > 0.4) == (e > 0)).all(), "each arm draws from its own distribution"
    later = 0.3 * a[:, 1] + 0.2 * q[:, 2] * m[:, 1, 0] + 0.5 * b[:, 0] + e
    return total + later


def test_each_draw_weighs_what_is_observed_given_it():
    method = ppl.importance(particles=60)
    posterior = ppl.infer(FORMS(**DATA), method, seed=5, engine="machine")
    weights = np.asarray(posterior.log_weights[0])
    alive = weights > -np.inf
    np.testing.assert_allclose(weights[alive], expected(posterior), rtol=1e-9, atol=1e-9)
    assert 0 < alive.sum() < 60
    second = filled(posterior, "rows.u", column("u"))[:, 1]
    np.testing.assert_array_equal(posterior["second"][0][alive], second)


# compiling costs a second a site, so XLA has few of them: a piece, a loop with a state, a plate
FEW = ppl.compile("""
model few(q: [real?], g: [[pos?]]) {
  observe q[0] ~ normal(0, 1)
  last ~ fold prev = q[0] for v in q[1:] { observe v ~ normal(0.6 * prev, 0.5); return v }
  for row in g { observe row ~ normal(last, [1, 2, 3]) }
  factor q[2] * g[1, 0]
  return last
}
""").few


def test_each_draw_on_xla_weighs_the_same():
    q, g = DATA["q"], [[0.3, _, 1.0], [_, 0.2, 0.7]]
    posterior = ppl.infer(FEW(q=q, g=g), ppl.importance(particles=60), seed=5, engine="xla")
    weights = np.asarray(posterior.log_weights[0])
    alive = weights > -np.inf
    assert (((posterior["g"][0] < 0).any((1, 2))) == ~alive).all() and 0 < alive.sum() < 60
    qs, gs = filled(posterior, "q", q), filled(posterior, "g", g)
    norm = stats.norm
    want = score(norm(0.6 * qs[:, :-1], 0.5), qs[:, 1:], q[1:])
    want += score(norm(qs[:, -1, None, None], [1, 2, 3]), gs, g) + qs[:, 2] * gs[:, 1, 0]
    np.testing.assert_allclose(weights[alive], want, rtol=1e-9, atol=1e-9)


def test_the_programs_are_well_formed_and_can_be_read_back():
    target = FORMS(**DATA)
    for program in (target.sampler.program, drawn_at_the_start().program):
        verify(program)
        assert read(show(program)) == program
    assert len(option_leaves(FORMS.program.entry)) == 10
    assert not option_leaves(target.sampler.program.entry)


def drawn_at_the_start() -> Any:
    return FORMS(**{**DATA, "c": [2, 3, 5, 4]})


# ---------------------------------------------------------------------------------- finite programs

FINITE = ppl.compile("""
model chain(x: [bool?], k: [nat?], y: [bool]) {
  for (b, v) in zip(x, y) { observe b ~ bernoulli(0.3); observe v ~ bernoulli(if b { 0.9 } else { 0.2 }) }
  zs ~ scan z = 2 for v in k { observe v ~ categorical([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.35, 0.4]][z]); return v }
  condition zs[0] + zs[1] < 4
  return {zs, both: x[0] and x[2]}
}
model free(x: [bool?], y: [bool]) {
  for (b, v) in zip(x, y) { observe v ~ bernoulli(if b { 0.9 } else { 0.2 }) }
  condition x[0] or x[1] or x[3]
}
""")
ROWS = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.35, 0.4]])
X, K, Y = [_, True, _, False], [_, 2, _, 0, _], [True, True, False, False]


def law(data: dict[str, list[Any]], weight: Any) -> tuple[dict[tuple[int, ...], float], float]:
    """The law of the holes, parameter by parameter, and the evidence: by enumeration."""
    holes = [(n, i) for n, values in data.items() for i, v in enumerate(values) if v is None]
    masses = {}
    for choice in itertools.product(*(range(3 if n == "k" else 2) for n, _ in holes)):
        here = {n: list(v) for n, v in data.items()}
        for (n, i), v in zip(holes, choice, strict=True):
            here[n][i] = v
        masses[choice] = weight(**here)
    total = sum(masses.values())
    return {c: w / total for c, w in masses.items() if w}, float(np.log(total))


def weight_of_chain(x: list[int], k: list[int]) -> float:
    p = np.prod([(0.3 if b else 0.7) * coin(b, v) for b, v in zip(x, Y, strict=True)])
    p *= np.prod([ROWS[z, v] for z, v in zip([2, *k], k, strict=False)])
    return float(p) * (k[0] + k[1] < 4)


def weight_of_free(x: list[int]) -> float:
    p = np.prod([coin(b, v) for b, v in zip(x, Y, strict=True)])
    return float(p) * bool(x[0] or x[1] or x[3])


def coin(b: int, v: bool) -> float:
    heads = 0.9 if b else 0.2
    return heads if v else 1 - heads


CASES = {
    "observed": (FINITE.chain, {"x": X, "k": K}, weight_of_chain),
    "not observed": (FINITE.free, {"x": [_, False, _, _]}, weight_of_free),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sampling", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_finite_holes_have_the_exact_law(case, sampling, engine):
    model, data, weight = CASES[case]
    target = model(**data, y=Y)
    target = target.sampler if sampling else target
    posterior = ppl.infer(target, ppl.exact(), engine=engine)
    want, evidence = law(data, weight)
    assert posterior.log_evidence == pytest.approx(evidence, abs=1e-12)
    holes = [posterior[n][0][:, i] for n, v in data.items() for i, x in enumerate(v) if x is None]
    found: dict[tuple[int, ...], float] = {}
    for choice, p in zip(np.transpose(holes).astype(int), posterior.weights[0], strict=True):
        found[tuple(choice)] = found.get(tuple(choice), 0.0) + float(p)
    assert found == pytest.approx(want, abs=1e-12)


# ----------------------------------------------------------------------------------------- refusals


def why(body: str, params: str, data: dict[str, Any], *, sampling: bool = True) -> str:
    text = f"model m({params}) {{\n  a ~ normal(0, 1)\n{body}\n}}"
    target = ppl.compile(text, name="m.ppl").m(**data)
    with pytest.raises(DiagnosticError) as caught:
        _ = (target.sampler if sampling else target).program
    return str(caught.value)


VECTOR = ("y: [real?]", {"y": [1.0, _, 2.0, _]})
EARLY = {
    "an element before": (
        "  observe y[0] ~ normal(a, 1)\n  for i in range(1, len(y)) { observe y[i] ~ normal(y[i - 1], 1) }",
        "`y[i - 1]` uses one before",
    ),
    "two windows": (
        "  for (v, w) in zip(y[1:], y[:len(y) - 1]) { observe v ~ normal(a + w, 1) }",
        "`a + w` uses one before",
    ),
    "another window's index": (
        "  for (j, v) in zip(range(len(y) - 1), y[1:]) { observe y[j] ~ normal(a, 1) }",
        "`y[j]` uses one before",
    ),
    "all of it": ("  observe y ~ normal(mean(y), 1)", "`mean(y)` uses one before"),
    "in a function": ("  let f = fn (x) => x + y[0]\n  observe y ~ normal(f(a), 1)", "`y[0]` uses one before"),
    "transformed": ("  for v in y { observe 2 * v ~ normal(a, 1) }", "`2 * v` uses one before"),
    "in every round of another loop": (
        "  for k in range(3) { for v in y { observe v ~ normal(a, k + 1) } }",
        "`observe v ~ normal(a, k + 1)` may draw one not exactly once",
    ),
    "in one arm": ("  for v in y { if a > 0 { observe v ~ normal(a, 1) } }", "only one arm"),
    "in part": ("  for v in y[1:] { observe v ~ normal(a, 1) }", "no `observe` says how each"),
    "nowhere": ("  observe a ~ normal(len(y), 1)", "no `observe` says how each"),
}  # fmt: skip


@pytest.mark.parametrize("case", EARLY)
def test_holes_that_cannot_be_drawn_are_refused(case):
    body, message = EARLY[case]
    text = why(body, *VECTOR)
    assert text.startswith("error[E850]: `y` has missing values, and ") and message in text
    assert "gradient methods such as nuts" in text


def test_the_messages_in_full():
    body, _ = EARLY["an element before"]
    assert why(body, *VECTOR) == (
        "error[E850]: `y` has missing values, and `y[i - 1]` uses one before an `observe` has said "
        "how it is distributed\n"
        "  --> m.ppl:4:53\n"
        "     4 |   for i in range(1, len(y)) { observe y[i] ~ normal(y[i - 1], 1) }\n"
        "                                                             ^^^^^^^^\n"
        "  because: gradient methods such as nuts treat missing numbers as parameters, wherever they "
        "are used\n"
        "  hint: observe each element before it is used, in a loop over it (`scan` where one depends "
        "on the last)"
    )
    joint = why("  observe y ~ multi_normal(zeros(4), identity(4))", *VECTOR)
    assert joint == (
        "error[E854]: `y` has missing values, and `multi_normal` draws its elements together\n"
        "  --> m.ppl:3:3\n"
        "     3 |   observe y ~ multi_normal(zeros(4), identity(4))\n"
        "           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  because: drawing the missing elements would need their law given those that are there\n"
        "  hint: infer with nuts, or write the law of each element given those before it"
    )


def test_bounded_counts_are_summed_out():
    text = "model m(k: [nat?]) { for n in k { observe n ~ binomial(4, 0.3); factor 0.2 * n } }"
    target = ppl.compile(text).m(k=[1, _, 3, _])
    law = stats.binom(4, 0.3)
    tilted = np.sum(law.pmf(np.arange(5)) * np.exp(0.2 * np.arange(5)))
    want = law.logpmf(1) + law.logpmf(3) + 0.2 * 4 + 2 * np.log(tilted)
    assert float(target.log_density({})) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize(
    ("code", "message", "body", "params", "data"),
    [
        ("E851", "`poisson` gives them infinitely", "  for n in k { observe n ~ poisson(2) }", "k: [nat?]", {"k": [1, _, 3]}),
        ("E850", "no `observe` says", "", "k: [nat?]", {"k": [1, _, 3]}),
        ("E850", "of type nat, and", "  for n in k { observe n ~ normal(a, 1) }", "k: [nat?]", {"k": [1, _, 3]}),
        ("E852", "decides sizes", "  z ~ iid(n, normal(a, 1))", "n: nat?", {"n": _}),
        ("E853", "no `text`", "", "names: [text?]", {"names": ["x", _, "z"]}),
        ("E853", "no `[real]`", "", "v: [real]?", {"v": _}),
    ],
)  # fmt: skip
def test_holes_that_no_method_or_no_gradient_method_takes(code, message, body, params, data):
    text = why(body, params, data, sampling=False)
    assert text.startswith(f"error[{code}]") and message in text and "hint: " in text
