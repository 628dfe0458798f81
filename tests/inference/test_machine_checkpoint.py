"""Runs of the machine that were killed go on where they were: the posterior is the same bit for bit,
with values of every kind in it."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.inference import folder
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey
from ppl.semantics.machine.pickles import Pickles
from tests.inference.killed import finished, kill

TEXT = """
type tree = Leaf(real) | Node(tree, tree)
fn grow(p: prob) -> measure[tree] {
  k ~ bernoulli(p)
  if k { x ~ normal(0, 1); return Leaf(x) } else { l ~ grow(0.7); r ~ grow(0.8); return Node(l, r) }
}
fn total(t: tree) -> real { match t { Leaf(x) => x, Node(l, r) => total(l) + total(r) } }
fn line() -> measure[real -> real] { a ~ normal(0, 2); return fn (x) => a * x }
model forest(ys: [real]) {
  f ~ line()
  t ~ grow(0.4)
  g ~ mem(fn (k: nat) => gamma(2, 1))
  s ~ mixture([0.3, 0.7], [gamma(2, 3), gamma(9, 2)])
  xs ~ scan x = 0.0 for y in ys {
    k ~ categorical([0.2, 0.5, 0.3])
    x ~ normal(x + f(0.1), s)
    observe y ~ normal(x + total(t), 1 + g(k))
    return x
  }
  return (f, total(t), xs)
}
"""
# proposes what it looks at; of the others it knows nothing
GUIDE = """
model near(ys: [real]) {
  s ~ gamma(3, 2)
  xs ~ scan x = 0.0 for y in ys { x ~ normal((x + y) / 2, 1.5); return x }
  return xs
}
"""
FOREST = ppl.compile(TEXT).forest
NEAR = ppl.compile(GUIDE).near(ys=[0.3, -1.1, 0.6, 1.4, -0.2])
TARGET = FOREST(ys=[0.3, -1.1, 0.6, 1.4, -0.2])
WALK = ppl.kernels.random_walk(scale=0.7).on("s").then(ppl.kernels.prior())
METHODS = {
    "importance": ppl.importance(particles=250),
    "smc": ppl.smc(particles=23),
    "guided": ppl.smc(particles=13, guide=NEAR),
    "trajectories": ppl.smc(particles=5, trajectories=4),
    "smc2": ppl.smc2(parameters="s", particles=5, states=3, threshold=0.9, moves=1),
    "rmsmc": ppl.rmsmc(particles=7, moves=2),
    "mcmc": ppl.mcmc(kernel=WALK, chains=2, warmup=15, draws=9, thin=2),
    "pgibbs": ppl.pgibbs(particles=3, chains=2, warmup=3, draws=4),
    "pmmh": ppl.pmmh(parameters="s", particles=4, chains=2, warmup=8, draws=5, scale=0.5),
}


def fit(method, where=None, seed=4, target=TARGET):
    return ppl.infer(target, method, seed=seed, progress=False, checkpoint=where)


def same(a, b):
    assert list(a.draws) == list(b.draws) and list(a.stats) == list(b.stats)
    pairs = [(a.draws[k], b.draws[k]) for k in a.draws] + [
        (a.stats[k], b.stats[k]) for k in a.stats
    ]
    pairs += [*zip(a.result[1:], b.result[1:], strict=True)]
    pairs.append((a.result[0](0.7), b.result[0](0.7)))  # functions are what they were
    assert all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs)
    assert a.evidence == b.evidence
    assert (a.log_weights is None) == (b.log_weights is None)
    assert a.log_weights is None or np.array_equal(a.log_weights, b.log_weights)


@pytest.mark.parametrize("name", METHODS)
def test_runs_of_the_machine_killed_at_any_writing_go_on(tmp_path, name):
    method = METHODS[name]
    found = finished(lambda: fit(method, tmp_path / "run"), kills=2, gaps=(2, 6))
    same(found, fit(method))


SCRIPT = f"""
import ppl
target = ppl.compile('''{TEXT}''').forest(ys=[0.3, -1.1, 0.6, 1.4, -0.2])
ppl.infer(target, ppl.mcmc(chains=2, warmup=20, draws=120), seed=4, checkpoint=sys.argv[1])
"""


def test_processes_killed_at_random_points_are_taken_up_by_others(tmp_path):
    place, rng = tmp_path / "run", np.random.default_rng(3)
    for _ in range(2):
        kill(SCRIPT, place, int(rng.integers(3, 60)), rng.uniform(0, 0.01))
    method = ppl.mcmc(chains=2, warmup=20, draws=120)
    same(fit(method, place), fit(method))


def test_a_checkpoint_of_the_machine_is_of_one_run(tmp_path):
    method = METHODS["smc"]
    fit(method, tmp_path / "run")
    for target, seed, what in (
        (TARGET, 5, "not of the same seed"),
        (FOREST(ys=[0.3, -1.1, 0.6, 1.4, -0.3]), 4, "not of the same data"),
    ):
        with pytest.raises(DiagnosticError, match=f"E898.*{what}"):
            fit(method, tmp_path / "run", seed, target)
    for name, kept in (("a", lambda p: p.effective_size < 9), ("b", None)):
        when = ppl.smc(particles=5, when=kept)
        for _ in range(2):  # a function is known by its name
            fit(when, tmp_path / name)
    step = ppl.compile(
        """model step(old_s: pos, far: pos) { s ~ lognormal(log(old_s), far) }"""
    ).step
    for far, refused in ((0.5, False), (0.6, True)):
        kernel = ppl.kernels.proposal(step, far=far)
        moved = ppl.mcmc(kernel=kernel, chains=1, warmup=1, draws=2)
        if refused:
            with pytest.raises(DiagnosticError, match="E898.*not of the same others"):
                fit(moved, tmp_path / "moved")
        else:
            fit(moved, tmp_path / "moved")
    (tmp_path / "run" / "runs.pickle").write_bytes(b"cos\nsystem\n(S'echo no'\ntR.")
    with pytest.raises(DiagnosticError, match="E898.*cannot be read.*nothing that runs hold"):
        fit(method, tmp_path / "run")


def test_what_is_deep_is_written_in_parts(tmp_path, monkeypatch):
    """Values and lineages that are nested more deeply than Python's stack reaches."""
    text = """
    type list = Nil | Cons(real, list)
    model deep(ys: [real]) {
      xs ~ fold xs = Nil for y in ys { x ~ normal(y, 1); observe y ~ normal(x, 1); return Cons(x, xs) }
      return xs
    }
    """
    deep = ppl.compile(text).deep(ys=np.sin(np.arange(700)).tolist())
    method, place = ppl.smc(particles=2), tmp_path / "run"
    whole = fit(method, target=deep)
    monkeypatch.setattr(folder, "EVERY", 0.05)
    fit(method, place, target=deep)
    assert (place / "runs.pickle").stat().st_size > 20_000
    found = fit(method, place, target=deep)
    assert found.evidence == whole.evidence and np.array_equal(found["xs/x"], whole["xs/x"])


def test_executions_as_bytes_are_what_they_were():
    machine = TARGET.machine
    data = machine.bind(TARGET.plain)
    pickles, run = Pickles(machine, data), machine.runner(data, record=True)
    executions = [run(MachineKey(3, 0, i)) for i in range(9)]
    others = pickles.loads(pickles.dumps(executions))
    for a, b in zip(executions, others, strict=True):
        assert a.sites == b.sites and a.observed == b.observed and a.log_weight == b.log_weight
        assert a.result[0](1.7) == b.result[0](1.7) and a.result[1:] == b.result[1:]
