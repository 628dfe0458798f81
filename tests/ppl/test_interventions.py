"""Interventions and conditioning: laws against exact arithmetic, on both engines."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from fractions import Fraction as F
from typing import Any

import numpy as np
import pytest

import ppl
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey, enumerate_paths
from ppl.semantics.machine.paths import NAMED_ROOT, below
from ppl.semantics.machine.settings import Set, Settings

U = [F(1, 5), F(1, 2), F(3, 10)]
X = [[F(1, 10), F(3, 5), F(3, 10)], [F(1, 2), F(1, 5), F(3, 10)], [F(1, 4), F(1, 8), F(5, 8)]]
Z = [[F(7, 10), F(1, 5), F(1, 10)], [F(1, 4), F(1, 2), F(1, 4)], [F(1, 10), F(1, 5), F(7, 10)]]


def y_law(u: int, c: int) -> list[F]:
    """P(y | u, c)."""
    weights = [F(1 + 4 * u), F(2 + c), F(3 + u * c)]
    return [w / sum(weights) for w in weights]


Y = [[y_law(u, c) for c in range(3)] for u in range(3)]


def shown(table: Any) -> str:
    return f"[{', '.join(map(shown, table))}]" if isinstance(table, list) else str(table)


MODELS = ppl.compile(f"""
model triangle() {{
  u ~ categorical({shown(U)})
  x ~ categorical({shown(X)}[u])
  y ~ categorical(outcome(u, x))
  return (x, y)
}}
model front_door() {{
  u ~ categorical({shown(U)})
  x ~ categorical({shown(X)}[u])
  z ~ categorical({shown(Z)}[x])
  y ~ categorical(outcome(u, z))
  return (x, z, y)
}}
fn outcome(u, c) {{ {shown(Y)}[u][c] }}
fn noisy(x) {{ e ~ normal(0, 0.5); return x + e }}
model twice(y: real) {{
  a ~ noisy(1)
  b ~ noisy(a)
  c ~ if b > 0 {{ d ~ normal(b, 1); return d }} else {{ return b }}
  s ~ half_normal(2)
  observe y ~ normal(c, s)
  return {{a, b, c}}
}}
model rows(y: [real]) {{
  m ~ normal(0, 3)
  t ~ for v in y {{ z ~ normal(m, 2); return 2 * z }}
  w ~ normal(m, [1.0, 2.0, 3.0])
  q ~ dirichlet([2, 3, 4])
  for (v, k) in zip(y, t) {{ observe v ~ normal(k, 1) }}
  return sum(w) + m
}}
model at_once() {{
  w ~ bernoulli([0.1, 0.3, 0.6, 0.8])
  v ~ iid(3, bernoulli(0.2))
  return w
}}
model chain(y: [real]) {{
  states ~ scan z = 0 for v in y {{
    z ~ categorical([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]][z])
    observe v ~ normal(z, 1)
    return z
  }}
  return states
}}
""")
AT_ONCE = MODELS.at_once()
TRIANGLE, FRONT = MODELS.triangle(), MODELS.front_door()
ROWS = MODELS.rows(y=[0.3, 1.2, -0.7])
SEEN = [0.1, 1.3, 2.2, 0.4]
CHAIN = MODELS.chain(y=SEEN)


def law(target: ppl.Target) -> dict[Any, F]:
    """The exact unnormalised law of the result."""
    out: dict[Any, F] = {}
    for path in enumerate_paths(target.machine, target.values, rational=True):
        key = path.execution.result
        out[key] = out.get(key, F(0)) + path.weight
    return out


def on_xla(target: ppl.Target) -> dict[Any, float]:
    posterior = ppl.infer(target, "exact")
    masses = np.exp(posterior.log_weights[0])
    out: dict[Any, float] = {}
    for k, mass in enumerate(masses):
        key = tuple(int(part[0, k]) for part in posterior.result)
        out[key] = out.get(key, 0.0) + float(mass)
    return out


def equal(a: Mapping[Any, float], b: Mapping[Any, F | int]) -> bool:
    return all(
        a.get(k, 0.0) == pytest.approx(float(b.get(k, F(0))), abs=1e-12)
        for k in a.keys() | b.keys()
    )


# ------------------------------------------------------------------------- seeing is not doing


@pytest.mark.parametrize("x", range(3))
def test_back_door(x: int):
    """P(y | do x) = Σ_u P(u) P(y | u, x), which is not P(y | x)."""
    done = {(x, y): sum(U[u] * y_law(u, x)[y] for u in range(3)) for y in range(3)}
    seen = {(x, y): sum(U[u] * X[u][x] * y_law(u, x)[y] for u in range(3)) for y in range(3)}
    assert law(TRIANGLE.do(x=x)) == done
    assert law(TRIANGLE.given(x=x)) == seen
    assert equal(on_xla(TRIANGLE.do(x=x)), done)
    assert equal(on_xla(TRIANGLE.given(x=x)), seen)
    mass = sum(seen.values())
    assert max(abs(done[x, y] - seen[x, y] / mass) for y in range(3)) > F(1, 100)


@pytest.mark.parametrize("x", range(3))
def test_front_door(x: int):
    """P(y | do x) from what is seen of (x, z, y) alone: Σ_z P(z | x) Σ_x' P(x') P(y | x', z)."""
    joint = law(FRONT)
    p_x = [sum(p for (a, _, _), p in joint.items() if a == k) for k in range(3)]

    def p(y: int, z: int, a: int) -> F:
        """P(y | z, a)."""
        return joint[a, z, y] / sum(joint[a, z, k] for k in range(3))

    done = law(FRONT.do(x=x))
    for y in range(3):
        adjusted = sum(Z[x][z] * sum(p_x[a] * p(y, z, a) for a in range(3)) for z in range(3))
        assert sum(q for (_, _, k), q in done.items() if k == y) == adjusted


def test_the_mass_of_all_conditions_is_that_of_the_target():
    parts = [law(FRONT.given(z=z)) for z in range(3)]
    assert {k: v for part in parts for k, v in part.items()} == law(FRONT)
    assert sum(law(FRONT.do(z=1)).values()) == 1


def test_what_is_before_an_intervention_is_drawn_as_ever():
    """Draws depend on their paths alone."""
    for i in range(20):
        free, done = (t.machine.run(t.values, MachineKey(i)).kept for t in (FRONT, FRONT.do(z=2)))
        assert (free["u"], free["x"]) == (done["u"], done["x"])
        assert done["z"] == 2
        assert free["y"] == done["y"] or free["z"] != 2


# ----------------------------------------------------------------------------------- densities


def test_conditioning_is_a_slice_of_the_density_and_an_intervention_leaves_terms_out():
    def normal(x: Any, m: Any, s: Any) -> float:
        return float(np.sum(-0.5 * ((x - m) / s) ** 2 - np.log(s) - 0.5 * np.log(2 * np.pi)))

    m, z, q = 0.4, np.array([0.1, -0.2, 0.5]), np.array([0.3, 0.6])  # q: on the simplex
    w = np.array([0.2, 1.5, -0.4])
    whole = float(ROWS.log_density({"m": m, "t/z": z, "w": w, "q": q}))
    seen = ROWS.given(w=w)
    assert float(seen.log_density({"m": m, "t/z": z, "q": q})) == pytest.approx(whole, abs=1e-12)
    law_of_w = normal(w, m, np.array([1.0, 2.0, 3.0]))
    done = ROWS.do(w=w)
    at = {"m": m, "t/z": z, "q": q}
    assert float(done.log_density(at)) == pytest.approx(whole - law_of_w, abs=1e-12)
    # an element: its place in the vector of coordinates keeps a standard normal reference
    part = ROWS.given({"w[1]": 1.5})
    there = {**at, "w": np.array([0.2, 0.77, -0.4])}
    expected = whole + normal(0.77, 0, 1)
    assert float(part.log_density(there)) == pytest.approx(expected, abs=1e-12)
    part = ROWS.do({"t[1]": 1.0})
    expected = (
        whole - normal(-0.2, m, 2) + normal(-0.2, 0, 1) - normal(1.2, -0.4, 1) + normal(1.2, 1.0, 1)
    )
    there = {**at, "w": w}
    assert float(part.log_density(there)) == pytest.approx(expected, abs=1e-12)


# --------------------------------------------------------------------------------- loops, calls


def forward(set_z: dict[int, int], *, scored: bool, skip: bool) -> float:
    """The evidence of the chain by the forward recursion. `skip`: observations of steps that are
    set are not made."""
    move = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]])
    alpha = np.array([1.0, 0.0, 0.0])
    for t, y in enumerate(SEEN):
        reached = alpha @ move
        if t in set_z:
            one = np.eye(3)[set_z[t]]
            reached = reached * one if scored else alpha.sum() * one
        density = np.exp(-0.5 * (y - np.arange(3)) ** 2) / np.sqrt(2 * np.pi)
        alpha = reached if skip and t in set_z else reached * density
    return float(np.log(alpha.sum()))


@pytest.mark.parametrize(
    ("kind", "values", "evidence"),
    [
        ("do", {"states/z[1]": 2}, forward({1: 2}, scored=False, skip=False)),
        ("do", {"states/z[1:3]": [2, 0]}, forward({1: 2, 2: 0}, scored=False, skip=False)),
        ("do", {"states/z[-1]": 1, "states[0]/z": 2},
         forward({3: 1, 0: 2}, scored=False, skip=False)),
        ("given", {"states/z[2]": 1}, forward({2: 1}, scored=True, skip=False)),
        ("do", {"states[1]": 2}, forward({1: 2}, scored=False, skip=True)),
        ("do", {"states": 2}, 0.0),
        ("do", {"states[:]": [0, 1, 2, 1]}, 0.0),
    ],
)  # fmt: skip
def test_steps_of_a_chain(kind: str, values: Mapping[str, Any], evidence: float):
    """Enumerated, summed step by step, and on the machine."""
    target = getattr(CHAIN, kind)(values)
    machine = ppl.infer(target, "exact", engine="machine")
    paths = ppl.infer(target, "exact")
    assert machine.log_evidence == pytest.approx(evidence, abs=1e-12)
    assert paths.log_evidence == pytest.approx(evidence, abs=1e-12)
    means = [p.summary()["states[3]", "mean"] for p in (paths, machine)]
    assert means[0] == pytest.approx(means[1], abs=1e-12)
    if paths.shape[1] > 1:
        summed = ppl.infer(target, ppl.exact(paths=1, draws=50))
        assert summed.log_evidence == pytest.approx(evidence, abs=1e-12)
        assert {2} == set(np.unique(summed["states[1]"])) or "states/z[1]" not in values


@pytest.mark.parametrize("engine", ["xla", "machine"])
def test_a_function_that_is_called_twice(engine: str):
    target = MODELS.twice(y=0.4).do({"a/e": -0.25, "c/then/d": 5.0})
    drawn = ppl.infer(target, ppl.importance(particles=60), seed=2, progress=False, engine=engine)
    assert (drawn["a"] == 0.75).all()
    assert len(np.unique(drawn["b/e"])) == 60
    there = drawn["b"] > 0
    assert 0 < there.sum() < 60
    assert (drawn["c"][there] == 5).all()
    assert np.array_equal(drawn["c"][~there], drawn["b"][~there])


def test_values_are_data_and_names_are_code():
    assert TRIANGLE.do(x=1).bound is TRIANGLE.do(x=2).bound
    assert CHAIN.do({"states/z[0]": 1}).bound is CHAIN.do({"states/z[2:]": 0}).bound
    assert TRIANGLE.do(x=1).bound is not TRIANGLE.given(x=1).bound
    assert TRIANGLE.do(x=1).bound is not TRIANGLE.bound


@pytest.mark.parametrize("engine", ["xla", "machine"])
def test_elements_that_are_drawn_at_once_and_later_settings(engine: str):
    """All elements of w are set, one of them twice, and one of v is seen."""
    target = AT_ONCE.do({"w[0]": 1, "w[1:]": 0}).do({"w[2]": 1}).given({"v[2]": True})
    assert target.name == "at_once.do(w[0]=True, w[1:]=False, w[2]=True).given(v[2]=True)"
    found = ppl.infer(target, "exact", engine=engine)
    assert np.array_equal(np.unique(found["w"].reshape(-1, 4), axis=0), [[1, 0, 1, 0]])
    assert found.log_evidence == pytest.approx(np.log(0.2), abs=1e-12)
    assert found.summary()["v[1]", "mean"] == pytest.approx(0.2, abs=1e-12)
    assert (found["v"][..., 2] == 1).all()


def test_results_say_what_was_done(tmp_path):
    posterior = ppl.infer(TRIANGLE.do(x=1).given(y=2), "exact")
    assert "triangle.do(x=1).given(y=2)" in repr(posterior)
    posterior.save(tmp_path / "p.nc")
    assert ppl.load_posterior(tmp_path / "p.nc").model == posterior.model
    assert posterior.summary()["x", "mean"] == pytest.approx(1)


# -------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("act", "code", "says"),
    [
        (lambda: TRIANGLE.do(xx=1), "E855", "`u`, `x`, `y`"),
        (lambda: ROWS.do(z=1), "E855", "did you mean `t/z`"),
        (lambda: ROWS.do(y=1), "E855", "is data"),
        (lambda: ROWS.do({"t[3]": 1}), "E855", "array of 3"),
        (lambda: ROWS.do({"m[0]": 1}), "E855", "single value"),
        (lambda: ROWS.do({"t[a]": 1}), "E855", "array of 3"),
        (lambda: ROWS.do({"t[": 1}), "E855", "no name of a site"),
        (lambda: ROWS.do(t=[1, 2]), "E856", "an array of 3"),
        (lambda: ROWS.do(m="high"), "E856", "not a number"),
        (lambda: TRIANGLE.do(x=1.5), "E856", "whole number"),
        (lambda: TRIANGLE.do(x=-1), "E857", "`x` has the type `nat`"),
        (lambda: TRIANGLE.do(x=3), "E857", "0 to 2"),
        (lambda: MODELS.twice(y=1.0).do(s=-1), "E857", "`s` has the type `pos`"),
        (lambda: ROWS.given(t=1), "E858", "`t/z`"),
        (lambda: ROWS.do({"q[0]": 1}), "E858", "draws them together"),
        (lambda: ROWS.do(m=1).given(m=1), "E858", "both"),
    ],
)  # fmt: skip
def test_refusals(act: Any, code: str, says: str):
    with pytest.raises(DiagnosticError) as error:
        act()
    (problem,) = error.value.diagnostics
    assert problem.code == code
    assert says in str(error.value)


ENDLESS = ppl.compile("""
fn climb(k: nat, p: prob) -> measure[nat] {
  s ~ bernoulli(p)
  if k >= 4 { return k } else { climb(k + (if s { 2 } else { 1 }), p) }
}
model loop() {
  p ~ categorical([0.5, 0.3, 0.2])
  n ~ iterate k = 0 until k >= 4 { s ~ bernoulli((1 + p) / 4); return k + (if s { 2 } else { 1 }) }
  return {p, n}
}
model calls() {
  p ~ categorical([0.5, 0.3, 0.2])
  n ~ climb(0, (1 + p) / 4)
  return {p, n}
}
""")
SECOND = {"loop": "n/s[1]", "calls": "n/else/climb/s"}


@pytest.mark.parametrize("name", ["loop", "calls"])
@pytest.mark.parametrize("scored", [False, True])
def test_names_in_loops_without_a_bound_are_set_on_the_machine(name, scored):
    """Step 1 of the climb, by hand: it goes on from 1 or 2, with or without the score."""
    target = ENDLESS[name]()
    assert target.model.engine.name == "xla"
    values = {SECOND[name]: True}
    target = target.given(values) if scored else target.do(values)
    found = ppl.infer(target, "exact", progress=False)
    assert [r.code for r in found.remarks] == ["W717"]

    law: dict[tuple[int, int], float] = {}
    for p, prior in enumerate([0.5, 0.3, 0.2]):
        up = (1 + p) / 4
        for first, mass in ((1, 1 - up), (2, up)):
            second = prior * mass * (up if scored else 1)
            ends = {4: second} if first == 2 else {4: second * (1 - up), 5: second * up}
            for n, m in ends.items():
                law[p, n] = law.get((p, n), 0) + m
    total = sum(law.values())
    assert found.log_evidence == pytest.approx(np.log(total), abs=1e-12)
    result, weights = found.result, found.weights[0]
    for (p, n), mass in law.items():
        at = (result["p"][0] == p) & (result["n"][0] == n)
        assert weights[at].sum() == pytest.approx(mass / total, abs=1e-12)


def test_what_xla_says_of_names_in_loops_without_a_bound():
    target = ENDLESS.loop().do({"n/s[0]": True})
    with pytest.raises(DiagnosticError, match=r"E859(.|\n)*`n/s\[0\]` is in a loop"):
        ppl.infer(target, "exact", engine="xla")
    with pytest.raises(DiagnosticError, match="E859"):
        ppl.infer(target, "nuts")
    with pytest.raises(DiagnosticError, match="did you mean `n/s`"):
        ENDLESS.loop().do({"n/t[0]": True})
    with pytest.raises(DiagnosticError, match="E856"):
        ENDLESS.loop().do({"n/s[0]": 0.5})
    drawn = ppl.prior(target, draws=5)
    assert drawn["n/s[0]"].all() and [r.code for r in drawn.remarks] == ["W717"]


def test_what_a_memoised_function_was_asked_for_is_set_by_its_name():
    """As results show it: texts, numbers, tuples. Two draws of others stay as they were."""
    models = ppl.compile("""
    model asked(y: real) {
      f ~ mem(fn (k: text) => bernoulli(0.3))
      g ~ mem(fn (k: (nat, nat)) => binomial(2, 0.25))
      h ~ mem(fn (k: nat) => bernoulli(0.1))
      observe y ~ normal(if f("a") { 1 } else { 0 }, 1)
      return {a: f("a"), b: f("b"), g: g((1, 2)), other: g((2, 1)), h: h(3)}
    }
    """)
    target = models.asked(y=0.5)
    done = target.do({"f[a]": True, "g[(1, 2)]": 2}).given({"h[3]": True})
    found = ppl.infer(done, "exact", progress=False)
    assert found.log_evidence == pytest.approx(np.log(0.1 * np.exp(-0.125) / (2 * np.pi) ** 0.5))
    means = {k: float(np.sum(found.weights * v)) for k, v in found.result.items()}
    assert means == pytest.approx({"a": 1, "b": 0.3, "g": 2, "other": 0.5, "h": 1}, abs=1e-12)
    for wrong in ("f[]", "f[a", "[a]"):
        with pytest.raises(DiagnosticError, match="E855"):
            target.do({wrong: True})
    with pytest.raises(DiagnosticError, match="E856"):
        target.do({"f[a]": 2})


def test_settings_cost_nothing_deep_in_a_recursion():
    """A path that nothing is set at is left at its last step: these ten thousand looks at paths of a
    hundred thousand steps would take minutes."""
    settings = Settings([(("n", "x"), Set((3,), 1.5, False)), (("n", "x"), Set((4,), 2.5, False))])
    path = NAMED_ROOT
    for _ in range(50_000):
        path = below(below(path, "else"), "walk")
    other = below(path, "s")
    for _ in range(10_000):
        assert not settings.of(other)[1]
    name, entries, indices = settings.of(below(below(below(NAMED_ROOT, "n"), (3,)), "x"))
    assert (name, [e.value for e in entries], indices) == ("n/x", [2.5, 1.5], (3,))
    for steps in (("n",), ("x",), ("m", "n", "x"), ("n", "x", "x")):
        assert not settings.of(functools.reduce(below, steps, NAMED_ROOT))[1]


RANDOM = ppl.compile("""
type shape = Point | Line(nat)
fn pick(k: nat) -> measure[nat] {
  stop ~ bernoulli(0.4)
  if stop or k > 3 { return k } else { pick(k + 1) }
}
model made(y: nat) {
  n ~ pick(0)
  let s = if n == 0 { Point } else { Line(n) }
  v ~ iid(3, bernoulli(0.2))
  w ~ match s {
    Point => return 0
    Line(k) => { d ~ binomial(k, 0.3); return d }
  }
  observe y ~ binomial(3, (1 + w) / 6)
  return (n, w)
}
""").made(y=1)


def test_blocks_look_for_settings_as_direct_code_does():
    """Direct code gives way to blocks where it is too deep; runs that may be suspended are blocks."""
    for target in (
        RANDOM.do({"v[1]": True, "n": 2}),
        RANDOM.given({"n/stop": False}),
        CHAIN.do({"states/z[1]": 2, "states[3]": 0}),
    ):
        for seed in range(8):
            direct = target.machine.run(target.values, MachineKey(seed))
            blocks = target.machine.start(target.values).finish(MachineKey(seed))
            assert direct.alive == blocks.alive
            if direct.alive:
                assert (direct.result, direct.kept) == (blocks.result, blocks.kept)
                assert direct.log_weight == blocks.log_weight


def test_programs_whose_names_are_known_when_they_run():
    assert RANDOM.model.engine.name == "machine"
    free = law(RANDOM)
    done = law(RANDOM.do(n=2))
    seen = {k: p for k, p in free.items() if k[0] == 2}
    reached = F(3, 5) ** 2 * F(2, 5)  # nothing but `n` is before `w`
    assert done == {k: p / reached for k, p in seen.items()}
    assert {k[0] for k in law(RANDOM.do({"n/else/pick/stop": True}))} == {0, 1}
    scored = law(RANDOM.given({"n/stop": False, "v[1]": True}))
    assert scored == {k: p / 5 for k, p in free.items() if k[0]}
    posterior = ppl.infer(RANDOM.do({"v[0]": True, "n/pick/stop": True}), "exact")
    assert (posterior["v"][..., 0] == 1).all()
    (remark,) = (r for r in posterior.warnings if r.code == "W855")
    assert "`n/pick/stop`" in remark.message and "n/else/pick/stop" in (remark.hint or "")
    with pytest.raises(DiagnosticError, match="E855"):
        RANDOM.do(nn=1)
    with pytest.raises(DiagnosticError, match="E857"):
        RANDOM.do(n=-1)
