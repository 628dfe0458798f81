"""Runs of the machine that were killed go on where they were: the posterior is the same bit for bit,
with values of every kind in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import ppl
from ppl.inference import folder
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey
from ppl.semantics.machine.pickles import Pickles

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
FOREST = ppl.compile(TEXT).forest
TARGET = FOREST(ys=[0.3, -1.1, 0.6, 1.4, -0.2])
WALK = ppl.kernels.random_walk(scale=0.7).on("s").then(ppl.kernels.prior())
METHODS = {
    "importance": ppl.importance(particles=700),
    "smc": ppl.smc(particles=23),
    "rmsmc": ppl.rmsmc(particles=7, moves=2),
    "mcmc": ppl.mcmc(kernel=WALK, chains=2, warmup=40, draws=25, thin=2),
    "pgibbs": ppl.pgibbs(particles=3, chains=2, warmup=3, draws=4),
    "pmmh": ppl.pmmh(parameters="s", particles=4, chains=2, warmup=8, draws=5, scale=0.5),
}


class Killed(BaseException):
    """Stands for the end of the process: nothing that handles errors sees it."""


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
def test_runs_of_the_machine_killed_at_any_writing_go_on(tmp_path, monkeypatch, name):
    method = METHODS[name]
    whole = fit(method)
    monkeypatch.setattr(folder, "EVERY", 0.0)
    rename, rng = os.replace, np.random.default_rng(7)
    left, kills = 2, 0

    def maybe_killed(a, b):
        nonlocal left, kills
        left -= 1
        if left == 0:
            kills, left = kills + 1, int(rng.integers(2, 6))
            raise Killed  # what was written is not there under its name
        rename(a, b)

    monkeypatch.setattr(os, "replace", maybe_killed)
    found = None
    for _ in range(200):
        try:
            found = fit(method, tmp_path / "run")
            break
        except Killed:
            continue
    assert found is not None and kills >= 2
    same(found, whole)


SCRIPT = f"""
import sys, ppl
from ppl.inference import folder
folder.EVERY = 0.0
target = ppl.compile('''{TEXT}''').forest(ys=[0.3, -1.1, 0.6, 1.4, -0.2])
p = ppl.infer(target, ppl.mcmc(chains=2, warmup=20, draws=120), seed=4, progress=False,
              checkpoint=sys.argv[1])
print(repr(float(p["s"].sum())), repr(float(p.result[0](0.3).std())))
assert "jax" not in sys.modules
"""


def test_a_process_killed_at_random_points_is_taken_up_by_another(tmp_path):
    """Three of them, after more and more of its files are there."""
    place, rng = tmp_path / "run", np.random.default_rng(3)
    command, killed = [sys.executable, "-c", SCRIPT, str(place)], 0
    for _ in range(3):
        before = len(list(place.glob("*"))) if place.exists() else 0
        wanted = before + int(rng.integers(3, 40))
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            while process.poll() is None:
                if place.exists() and len(list(place.glob("*"))) >= wanted:
                    process.send_signal(signal.SIGKILL)
                    killed += 1
                    break
                time.sleep(0.002)
    assert killed == 3
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    whole = fit(ppl.mcmc(chains=2, warmup=20, draws=120))
    assert out.split() == [repr(float(whole["s"].sum())), repr(float(whole.result[0](0.3).std()))]


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


def test_what_no_file_can_hold_is_an_error_at_the_first_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "EVERY", 0.0)
    text = """
    type list = Nil | Cons(real, list)
    model deep(n: nat) {
      xs ~ fold xs = Nil for i in range(n) { x ~ normal(0, 1); return Cons(x, xs) }
      return xs
    }
    """
    deep = ppl.compile(text).deep(n=3_000)
    with pytest.raises(DiagnosticError, match="E898.*nested too deeply"):
        fit(ppl.importance(particles=1), tmp_path / "run", target=deep)


def test_executions_as_bytes_are_what_they_were():
    machine = TARGET.machine
    data = machine.bind(TARGET.plain)
    pickles, run = Pickles(machine, data), machine.runner(data, record=True)
    executions = [run(MachineKey(3, 0, i)) for i in range(9)]
    others = pickles.loads(pickles.dumps(executions))
    for a, b in zip(executions, others, strict=True):
        assert a.sites == b.sites and a.observed == b.observed and a.log_weight == b.log_weight
        assert a.result[0](1.7) == b.result[0](1.7) and a.result[1:] == b.result[1:]
