"""Draws that stream to a file: those of an ordinary run bit for bit, in memory that does not grow with
their number."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np
import pytest

import ppl
from ppl.inference import journal, sampling
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.journal import Journal
from ppl.semantics.diagnostics import DiagnosticError
from ppl.storage import OnDisk, Stream
from ppl.trees import leaves

MODELS = ppl.compile("""
model counts(y: [nat]) {
  k ~ poisson(3)
  r ~ gamma(2, 1)
  b ~ bernoulli(0.3)
  ls ~ for yi in y { l ~ normal(0, 1); observe yi ~ poisson(exp(l) * r + k); return l }
  return {high: b, ls}
}
model draw(x: real) { z ~ normal(0, 1); observe x ~ normal(z, 1); return z }
""")
COUNTS = MODELS.counts(y=[4, 7, 2])
WALK = ppl.mcmc(kernel=ppl.kernels.random_walk(scale=0.7), chains=3, warmup=30, draws=230)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(sampling, "_BLOCK_STEPS", 50)


def fit(method: Any = WALK, **files: Any):
    return ppl.infer(COUNTS, method, seed=4, progress=False, **files)


GROWING = ppl.compile("""
type tree = Leaf(real) | Node(tree, tree)
fn grow() -> measure[tree] {
  split ~ bernoulli(0.15)
  if split { l ~ grow(); r ~ grow(); return Node(l, r) } else { x ~ normal(0, 1); return Leaf(x) }
}
fn total(t: tree) -> real { match t { Leaf(x) => x, Node(l, r) => total(l) + total(r) } }
fn some(p: prob) -> measure[[real]] {
  s ~ bernoulli(p)
  if s { return [] } else { a ~ normal(0, 1); rest ~ some(p); return concat([a], rest) }
}
model growing(y: real) {
  tree ~ grow()
  n ~ poisson(2)
  xs ~ some(0.5)
  observe y ~ normal(total(tree) + n, 1)
  return {tree, n, xs, pair: (n, n + 0.5)}
}
""").growing(y=1.3)


def same(a, b):
    assert list(a.draws) == list(b.draws) and list(a.stats) == list(b.stats)
    for x, y in [(a.draws, b.draws), (a.stats, b.stats), (a.result, b.result)]:
        for k in x:
            one, other = np.asarray(x[k]), np.asarray(y[k])
            assert one.dtype == other.dtype and np.array_equal(one, other)


def test_the_file_is_that_of_an_ordinary_run(tmp_path):
    whole = fit()
    whole.save(tmp_path / "whole.nc")
    file = tmp_path / "stream.nc"
    found = fit(stream=file)
    assert found.shape == (3, 230) and all(isinstance(v, OnDisk) for v in found.draws.values())
    for other in (found, ppl.load_posterior(file)):
        same(ppl.load_posterior(tmp_path / "whole.nc"), other)
    same(whole, found)
    assert str(found.summary()) == str(whole.summary())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["stream.nc", "whole.nc"]


class Killed(BaseException):
    """Stands for the end of the process."""


def test_the_machine_streams_executions_of_any_structure(tmp_path, monkeypatch):
    """In blocks that are not whole chains, and after it was killed."""
    held, write, left = [], Journal.write, 3

    def writing(self, place, made):
        nonlocal left
        held.append(len(made))
        left -= 1
        if left == 0:
            raise Killed
        write(self, place, made)

    monkeypatch.setattr(journal, "BLOCK", 9)
    method = ppl.mcmc(chains=3, draws=25, warmup=5)
    fit = partial(ppl.infer, GROWING, method, seed=3, progress=False)
    fit().save(tmp_path / "whole.nc")
    whole, file = ppl.load_posterior(tmp_path / "whole.nc"), tmp_path / "stream.nc"
    monkeypatch.setattr(Journal, "write", writing)
    with pytest.raises(Killed):
        fit(stream=file, checkpoint=tmp_path / "run")
    found = fit(stream=file, checkpoint=tmp_path / "run")
    assert max(held) == 9 and found.shape == (3, 25)
    found = ppl.load_posterior(file)
    assert list(found.draws) == list(whole.draws) and list(found.stats) == list(whole.stats)
    for a, b in [(whole.draws, found.draws), (whole.stats, found.stats)]:
        for name in a:
            np.testing.assert_array_equal(np.asarray(b[name]), np.asarray(a[name]), err_msg=name)
    assert repr(on_hosts(found.result)) == repr(on_hosts(whole.result))


def on_hosts(tree):
    return {k: [np.asarray(v).tolist() for v in leaves(part)] for k, part in tree.items()}


def test_a_stream_that_was_killed_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    whole, rename, left = fit(), os.replace, 4

    def once(a, b):
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        rename(a, b)

    monkeypatch.setattr(os, "replace", once)
    files = {"stream": tmp_path / "stream.nc", "checkpoint": tmp_path / "run"}
    with pytest.raises(Killed):
        fit(**files)
    add, parts = Stream.add, 0

    def half(self, *draws):
        nonlocal parts
        parts += 1
        if parts == 2:
            raise Killed
        add(self, *draws)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Stream, "add", half)
        fit(**files)
    assert not (tmp_path / "stream.nc").exists()
    same(whole, fit(**files))
    same(whole, fit(checkpoint=tmp_path / "run"))  # which is a checkpoint as any other


def test_what_is_held_does_not_grow_with_the_draws(tmp_path, monkeypatch):
    held = []
    save, add = Checkpoint.save, Stream.add

    def saving(self, lane, place, **how):
        held.append(sum(np.asarray(v).nbytes for b in place.blocks if b for v in b.values()))
        save(self, lane, place, **how)

    def adding(self, draws, first):
        held.append(sum(v.nbytes for v in (*draws.draws.values(), *draws.stats.values())))
        add(self, draws, first)

    monkeypatch.setattr(Checkpoint, "save", saving)
    monkeypatch.setattr(Stream, "add", adding)
    most = []
    for draws in (200, 800):
        held.clear()
        fit(
            ppl.mcmc(kernel=WALK.kernel, chains=3, warmup=30, draws=draws), stream=tmp_path / "a.nc"
        )
        most.append(max(held))
    assert 0 < most[1] == most[0]


def test_what_does_not_stream_says_so(tmp_path):
    file = tmp_path / "a.nc"
    with pytest.raises(DiagnosticError, match="E811.*`smc` draws all at once"):
        fit(ppl.smc(particles=3), stream=file)
    with pytest.raises(DiagnosticError, match="E811.*`rmsmc` draws all at once"):
        fit(ppl.rmsmc(particles=3), engine="machine", stream=file)
    with pytest.raises(DiagnosticError, match="E811.*path of a file"):
        fit(stream=7)
