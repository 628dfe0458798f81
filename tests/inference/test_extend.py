"""Filters that go on with more data are the filters of all data: the same random numbers, the same
particles, on both engines; and under tapes the same law."""

from __future__ import annotations

import itertools
import pickle
from functools import partial
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl.extend import with_rows_alone
from ppl.inference import extend
from ppl.inference.particles import compiled_policy
from ppl.inference.resample import Resample
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import Arr, spread
from ppl.semantics.xla.program import ALL, particles
from ppl.semantics.xla.sites import draw
from ppl.semantics.xla.standing import From, Later, Standing, parts_of, standing

MODELS = ppl.compile("""
# drawn before the loop, read in it and after it; a function in the state; numbered rows of two
# parameters; a choice and a score after the loop
model rich(xs: [real], ys: [real], scale: pos) {
  phi ~ uniform(0, 1)
  c ~ normal(0, 1)
  observe 0.3 ~ normal(c, 1)
  hs ~ scan s = {h: phi, f: fn (x: real) => x + phi} for (t, (x, y)) in enumerate(zip(xs, ys)) {
    h ~ normal(s.f(s.h) + x * t / 10, scale)
    observe y ~ normal(h, 0.8)
    return {h, f: fn (x: real) => 0.5 * x + phi}
  }
  z ~ normal(hs[len(ys) - 1].h, 1)
  observe ys[0] ~ normal(z, 3)
  return {last: hs[len(ys) - 1].f(c), z}
}
model latest(ys: [real]) {
  s ~ half_normal(1)
  h ~ fold h = s for y in ys { h ~ normal(h, s); observe y ~ normal(h, 0.8); return h }
  return (s, h)
}
model hidden(ys: [bool]) {
  c ~ bernoulli(0.35)
  x ~ fold x = 0 for y in ys {
    x ~ categorical(if c { [[0.6, 0.4, 0], [0, 0.3, 0.7], [1, 0, 0]][x] }
                    else { [[0.2, 0, 0.8], [0.9, 0.1, 0], [0, 1, 0]][x] })
    observe y ~ bernoulli([0.15, 0.7, 0.4][x])
    return x
  }
  observe c ~ bernoulli([0.9, 0.25, 0.4][x])
  return (c, x)
}

model gaps(ys: [real?]) {
  s ~ half_normal(1)
  h ~ fold h = s for y in ys { h ~ normal(h, s); observe y ~ normal(h, 0.8); return h + 0.1 * y }
  return (s, h)
}
model echoed(ys: [real?]) {
  hs ~ scan h = 0.0 for y in ys { h ~ normal(h, 1); observe y ~ normal(h, 0.8); return h }
  return (hs, ys)
}

model near(ys: [real]) {
  s ~ lognormal(0, 0.5)
  w ~ normal(0, 1)
  h ~ fold h = 0.1 * w for y in ys { h ~ normal((h + y) / 2 + 0.1 * w, s); factor 0.1 * h; return h }
  return h
}
model near_others(zs: [real]) { h ~ fold h = 0.0 for z in zs { h ~ normal((h + z) / 2, 1); return h } }

model mean_first(ys: [real]) { let m = mean(ys); fold h = m for y in ys { h ~ normal(h, 1); observe y ~ normal(h, 1); return h } }
model by_number(ys: [real]) { h ~ fold h = 0.0 for t in range(len(ys)) { h ~ normal(h, 1); observe ys[t] ~ normal(h, 1); return h }; return h }
model whole(ys: [real]) { h ~ fold h = 0.0 for y in ys { h ~ normal(h, 1); observe y ~ normal(h + sum(ys), 1); return h }; return h }
model plate(ys: [real]) { m ~ normal(0, 1); for y in ys { observe y ~ normal(m, 1) } }
""")
XS, YS = [0.3, -0.2, 0.5, 0.1, 0.7, -0.4], [0.5, 1.9, -0.4, 1.1, 2.0, 0.2]


def filtered(model, data, **settings):
    method = ppl.smc(particles=20, **settings)
    return ppl.infer(model(**data), method, seed=3, progress=False)


def agree(one, other):
    assert set(one.named) == set(other.named)
    assert other.log_evidence == pytest.approx(one.log_evidence, abs=1e-11)
    np.testing.assert_allclose(other.log_weights, one.log_weights, rtol=0, atol=1e-11)
    for name in one.named:
        np.testing.assert_allclose(other[name], one[name], rtol=1e-11, atol=1e-11, err_msg=name)


def stretches(data, *ends):
    return [{k: v[a:b] for k, v in data.items()} for a, b in itertools.pairwise((0, *ends))]


def test_in_stretches_or_at_once_the_particles_are_the_same():
    data = {"xs": XS[:4], "ys": YS[:4]}
    first, more = stretches(data, 2, 4)
    whole = filtered(MODELS.rich, {**data, "scale": 0.5})
    found = filtered(MODELS.rich, {**first, "scale": 0.5}).extend(more)
    agree(whole, found)
    assert whole.points["resampled"].any() and not whole.points["resampled"].all()
    assert found.points.keys() == whole.points.keys() >= {"ancestors", "lineages"}
    for name, values in found.points.items():
        np.testing.assert_allclose(whole.points[name], values, atol=1e-10)
    assert found.target.values["ys"].tolist() == YS[:4]


def test_without_history_what_is_carried_does_not_grow():
    first, *more = stretches({"ys": YS}, 2, 4, 6)
    whole = filtered(MODELS.latest, {"ys": YS}, keep_history=False)
    found, sizes = filtered(MODELS.latest, first, keep_history=False), []
    extend._stepping.cache_clear()
    for rows in more:
        found = found.extend(rows)
        at = found.standing(None)
        held = [at.stood.state.data, *(v.data for v in at.stood.live.values())]
        held += [*at.earlier.values(), at.roots, *at.stretches[-1].inside.values()]
        sizes.append((len(at.stretches), sum(np.asarray(v).nbytes for v in held)))
    agree(whole, found)
    assert sizes[0] == sizes[1] and found["h/h"].shape == (1, 20)
    # both stretches by the same compiled loop
    assert extend._stepping.cache_info().misses == 1


def test_rows_may_miss_values_that_none_did_before():
    """Where they are is data: the loop draws there, and the particles are those of one run."""
    first, *more = stretches({"ys": [0.5, None, -0.4, 1.1]}, 1, 3, 4)
    whole = filtered(MODELS.gaps, {"ys": [0.5, None, -0.4, 1.1]})
    found = filtered(MODELS.gaps, first)
    extend._finishing.cache_clear()
    for rows in more:
        found = found.extend(rows)
    agree(whole, found)
    assert extend._finishing.cache_info().misses == 1
    drawn = np.isfinite(found["ys"])
    assert drawn.shape == (1, 20, 4) and (drawn == [False, True, False, False]).all()


def test_guided_filters_go_on_with_their_guides():
    """The guide's loop has a state, reads what it drew before, and looks ahead."""
    fit = lambda ys: ppl.infer(  # noqa: E731
        MODELS.latest(ys=ys),
        ppl.smc(particles=20, guide=MODELS.near(ys=ys)),
        seed=3,
        engine="xla",
        progress=False,
    )
    whole, found = fit(YS[:4]), fit(YS[:2]).extend(ys=YS[2:4])
    agree(whole, found)
    assert 0 < whole.points["resampled"][:3].sum() < 3 and found.settings["guide"] is not None
    with pytest.raises(DiagnosticError, match="E874.*goes over `zs`"):
        with_rows_alone(MODELS.near_others(zs=YS[:2]), {"ys": [0.1]})


def test_what_is_missing_and_read_after_the_loop_is_carried_from_its_first_row_on():
    found = filtered(MODELS.echoed, {"ys": [0.5, 0.2]})
    with pytest.raises(DiagnosticError, match="E874.*are missing"):
        found.extend(ys=[None])
    machine = ppl.infer(
        MODELS.gaps(ys=[0.5]), ppl.smc(particles=5), engine="machine", progress=False
    )
    with pytest.raises(DiagnosticError, match="E874.*on the machine"):
        machine.extend(ys=[None])


def numbered_from_the_start(source, first):
    return source


def test_random_numbers_that_are_used_again_are_found(monkeypatch):
    """A key used twice: the steps of a stretch have the numbers of the first ones."""
    first, more = stretches({"ys": YS}, 2, 6)
    whole = filtered(MODELS.latest, {"ys": YS}, keep_history=False)
    extend._stepping.cache_clear()
    monkeypatch.setattr(extend, "Later", numbered_from_the_start)
    found = filtered(MODELS.latest, first, keep_history=False).extend(more)
    extend._stepping.cache_clear()
    with pytest.raises(AssertionError):
        agree(whole, found)


def test_histories_are_traced_back_through_stretches():
    """And the value of a fold, which has no time, is the last one."""
    parts = parts_of(MODELS.latest(ys=YS).bound)
    rng = np.random.default_rng(2)
    drawn = [{"h/h": rng.random((3, n)), "h": rng.random(3)} for n in (2, 1, 2)]
    who = [rng.integers(0, 3, 3) for _ in drawn]
    last = np.array([2, 0, 2])
    waiting = SimpleNamespace(
        parts=parts,
        settings=ppl.smc(particles=3),
        earlier={"s": np.arange(3.0)},
        roots=np.arange(3),
        stretches=tuple(
            extend.Stretch(d, None, w, d["h/h"].shape[1]) for d, w in zip(drawn, who, strict=True)
        ),
    )
    lines = extend.Lines(waiting, last)
    second = who[2][last]
    rows = [drawn[0]["h/h"][who[1][second]], drawn[1]["h/h"][second], drawn[2]["h/h"][last]]
    assert np.array_equal(lines["h/h"][0], np.concatenate(rows, axis=1))
    assert np.array_equal(lines["h"][0], drawn[2]["h"][last])
    assert np.array_equal(lines["s"][0], [2, 0, 2]) and list(lines) == ["s", "h/h", "h"]


def test_the_machine_goes_on_bit_for_bit():
    data = {"xs": XS, "ys": YS}
    first, *more = stretches(data, 1, 3, 6)
    method = ppl.smc(particles=20)
    run = lambda d: ppl.infer(  # noqa: E731
        MODELS.rich(scale=0.5, **d), method, seed=3, engine="machine", progress=False
    )
    whole, found = run(data), run(first)
    for rows in more:
        found = found.extend(rows, progress=False)
    assert found.log_evidence == whole.log_evidence
    assert whole.named.keys() == found.named.keys()
    for name in whole.named:
        assert np.array_equal(found[name], whole[name]), name


# --------------------------------------------------------------------------------- the exact law

MOVE = {
    True: [[0.6, 0.4, 0], [0, 0.3, 0.7], [1, 0, 0]],
    False: [[0.2, 0, 0.8], [0.9, 0.1, 0], [0, 1, 0]],
}


def bernoulli(p, x):
    return p if x else 1 - p


def hidden_masses(ys):
    out = {}
    for c in (False, True):
        for xs in itertools.product(range(3), repeat=len(ys)):
            m = bernoulli(0.35, c) * bernoulli([0.9, 0.25, 0.4][xs[-1]], c)
            for x, to, y in zip((0, *xs), xs, ys, strict=False):
                m *= MOVE[c][x][to] * bernoulli([0.15, 0.7, 0.4][to], y)
            if m > 0:
                out[(c, *xs)] = m
    return out


def test_three_particles_that_went_on_are_properly_weighted():
    """Whole histories (c, x1, x2, x3), by tapes of both stretches and of what follows."""
    n, ys = 3, [False, True, False]
    first, more = MODELS.hidden(ys=ys[:1]), MODELS.hidden(ys=ys[1:])
    parts, axis = parts_of(first.bound), particles(n)
    policy = compiled_policy(Resample("systematic", 0.7))

    def run(data, tape):
        begin, rows = data
        meeting = standing(first.bound, policy, True)
        _, end = first.bound.execute(
            begin, rule=draw, omega=tape, axes=(axis,), record=ALL, meeting=meeting
        )
        stood, cut = end.extra.stood, parts.cut
        early = stood.inside[0]["x/x"]
        names = tuple(p.name for p in cut.again.entry.params if p.name in cut.live)
        begins = From(stood.log_weights, stood.version)
        meeting = Standing(policy, True, cut.again_loop, names, cut.keeps, begins)
        data = {**rows, **stood.live, cut.state: stood.state, cut.first: Arr(jnp.asarray(1))}
        _, end = parts.again.execute(
            data, rule=draw, omega=Later(end.omega, 1), axes=(axis,), record=ALL, meeting=meeting
        )
        went = end.extra.stood
        early = [a.data[went.roots.data] for a in (stood.live["c"], early)]
        columns = [*early, spread(went.inside[0]["x/x"], (axis,)).data]
        rows = jnp.concatenate([c.reshape(n, -1).astype(float) for c in columns], axis=1)
        last = jnp.asarray([0.9, 0.25, 0.4])[went.state.data]
        score = jnp.log(jnp.where(went.live["c"].data, last, 1 - last))
        return (went.log_weights + score, rows), end.omega.source

    with precision():
        found = Enumerator(run, length=24, batches=(4096,))((first.data, more.data))
    weights, rows = found.outputs
    p = np.exp(found.log_probability)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    masses = {}
    for row, mass in zip(
        rows.reshape(-1, rows.shape[-1]).tolist(),
        (p[:, None] * np.exp(weights)).ravel().tolist(),
        strict=True,
    ):
        masses[tuple(row)] = masses.get(tuple(row), 0.0) + mass
    known = hidden_masses(ys)
    assert {k for k, m in masses.items() if m > 0} == {tuple(map(float, k)) for k in known}
    for history, mass in known.items():
        assert masses[tuple(map(float, history))] == pytest.approx(mass, abs=1e-13), history


# ----------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mean_first", "before the loop"),
        ("by_number", "has no loop"),
        ("whole", "in it"),
        ("plate", "has no loop"),
    ],
)
def test_models_that_cannot_go_on(name, says):
    posterior = ppl.infer(
        MODELS[name](ys=[0.1, 0.2]), ppl.smc(particles=5), engine="machine", progress=False
    )
    with pytest.raises(DiagnosticError, match=f"E874.*{says}"):
        posterior.extend(ys=[0.3])


def test_rows_that_do_not_fit():
    target = MODELS.rich(xs=[0.1, 0.2], ys=[0.1, 0.2], scale=1)
    posterior = ppl.infer(target, ppl.smc(particles=5), engine="machine", progress=False)
    for rows, says in (
        ({"ys": [0.3]}, "no rows of `xs`"),
        ({"xs": [0.3], "ys": [0.3, 0.4]}, "unequal number"),
        ({"xs": [0.3], "ys": [0.3], "scale": 2.0}, "more of `scale`"),
    ):
        with pytest.raises(DiagnosticError, match=f"E874.*{says}"):
            posterior.extend(rows)
    with pytest.raises(DiagnosticError, match="E603"):
        posterior.extend(xs=["a"], ys=[0.3])


def test_posteriors_without_particles_that_go_on():
    target = MODELS.latest(ys=[0.1, 0.2])
    filtered = ppl.infer(target, ppl.smc(particles=5), engine="machine", progress=False)
    others = [
        ppl.infer(target, ppl.importance(particles=5), engine="machine", progress=False),
        filtered.resample(4, seed=1),
        pickle.loads(pickle.dumps(filtered)),
    ]
    for posterior in others:
        with pytest.raises(DiagnosticError, match="E875"):
            posterior.extend(ys=[0.3])


@pytest.mark.parametrize("engine", ["xla", "machine"])
def test_replicas_go_on_together(engine):
    """All of them: the mean of the evidence, and its error, are those of one run on all data."""
    method = ppl.smc(particles=20, replicas=3)
    fit = partial(ppl.infer, method=method, seed=3, engine=engine, progress=False)
    found = fit(MODELS.latest(ys=YS[:2])).extend(ys=YS[2:4])
    at_once = fit(MODELS.latest(ys=YS[:4]))
    agree(at_once, found)
    assert found.evidence_se == pytest.approx(at_once.evidence_se, rel=1e-9)


def test_the_machine_begins_with_a_row():
    target = MODELS.latest(ys=[])
    posterior = ppl.infer(target, ppl.smc(particles=5), engine="machine", progress=False)
    with pytest.raises(DiagnosticError, match="E875.*at least one row"):
        posterior.extend(ys=[0.3])
