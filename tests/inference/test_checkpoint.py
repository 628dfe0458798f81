"""Runs that were killed go on where they were: the posterior is the same bit for bit."""

from __future__ import annotations

import os

import numpy as np
import pytest

import ppl
from ppl.inference import cut, importance
from ppl.semantics.diagnostics import DiagnosticError
from tests.inference.killed import finished, kill

TEXT = """
model one(y: [real]) {
  mu ~ normal(0, 3)
  s ~ half_normal(2)
  observe y ~ normal(mu, s)
}
model counts(y: [nat]) {
  k ~ poisson(3)
  r ~ gamma(2, 1)
  observe y ~ poisson(r + k)
}
"""
# a loop before others whose points are particles': what is between them is run as it is
STEPS = """
model steps(ys: [real]) {
  s ~ half_normal(1)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, s); observe y ~ normal(x, 0.7); return x }
  z ~ fold z = 0.0 for y in ys { z ~ normal(xs[1] + z, s); observe y ~ normal(z, 2); return z }
  return z
}
model series(ys: [real]) {
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, 1); observe y ~ normal(x, 0.7); return x }
  return xs
}
"""
MODELS = ppl.compile(TEXT + STEPS)
ONE = MODELS.one(y=[1.2, 0.4, 2.9, 1.8])
YS = [0.3, -1.1, 0.6, 1.4, -0.2, 2.1, 0.7, 0.4, 1.6]
PARTICLES = MODELS.steps(ys=YS)
SERIES = MODELS.series(ys=YS)
COUNTS = MODELS.counts(y=[4, 7, 2])
WALK = ppl.mcmc(kernel=ppl.kernels.random_walk(scale=0.7), chains=2, warmup=200, draws=150, thin=3)


def nuts(**settings):
    return ppl.nuts(**{"chains": 3, "warmup": 150, "draws": 300, "thin": 2, **settings})


def fit(target, method, folder=None, seed=4):
    return ppl.infer(target, method, seed=seed, progress=False, checkpoint=folder)


def same(a, b):
    pairs = [(a.draws, b.draws), (a.stats, b.stats), (a.points, b.points)]
    pairs.append(({"w": a.log_weights}, {"w": b.log_weights}))
    return all(x.keys() == y.keys() for x, y in pairs) and all(
        np.array_equal(x[k], y[k], equal_nan=x[k] is not None and x[k].dtype.kind == "f")
        for x, y in pairs
        for k in x
    )


@pytest.mark.parametrize(
    ("target", "method"),
    [
        (ONE, nuts(mode="vectorised")),
        (COUNTS, WALK),
        (PARTICLES, ppl.smc(particles=301)),
        (SERIES, ppl.smc(particles=31, trajectories=9)),
        (ONE, ppl.tempered_smc(particles=101, replicas=2, temperatures=9, kernel="random_walk")),
        (ONE, ppl.importance(particles=1_201)),
    ],
    ids=[
        "nuts in one program",
        "random walk on counts",
        "particles in loops",
        "trajectories drawn backwards",
        "populations at temperatures",
        "blocks of importance samples",
    ],
)
def test_a_run_killed_at_any_writing_goes_on_as_if_it_had_not_been(
    tmp_path, monkeypatch, target, method
):
    monkeypatch.setattr(importance, "BLOCK", 100)
    whole = fit(target, method)
    monkeypatch.setattr(cut, "TICK", 0.0)  # a step at a time
    monkeypatch.setattr(cut, "FIRST", 1)
    monkeypatch.setattr(importance, "BLOCKS_A_CALL", 1)
    found = finished(lambda: fit(target, method, tmp_path / "run"), kills=4)
    assert same(found, whole)
    assert same(fit(target, method, tmp_path / "run"), whole)  # all of it is there


CHAINS, PARTICLES_IN_LOOPS = ppl.nuts(chains=2, warmup=100, draws=300), ppl.smc(particles=301)
SCRIPTS = {
    "chains": f"""
import ppl
target = ppl.compile('''{TEXT + STEPS}''').one(y=[1.2, 0.4, 2.9, 1.8])
method = ppl.nuts(chains=2, warmup=100, draws=300)
ppl.infer(target, method, seed=4, checkpoint=sys.argv[1])
""",
    "particles": f"""
import ppl
from ppl.inference import cut
cut.TICK, cut.FIRST = 0.0, 1
target = ppl.compile('''{TEXT + STEPS}''').steps(ys={YS})
ppl.infer(target, ppl.smc(particles=301), seed=4, checkpoint=sys.argv[1])
""",
}


@pytest.mark.parametrize(
    ("name", "target", "method", "files"),
    [("chains", ONE, CHAINS, (2, 8)), ("particles", PARTICLES, PARTICLES_IN_LOOPS, (3, 15))],
    ids=["chains", "particles"],
)
def test_a_process_killed_at_a_random_point_is_taken_up_by_another(
    tmp_path, name, target, method, files
):
    """Of particles, those killed amid the steps of either loop; this process goes on."""
    rng = np.random.default_rng(len(name))
    kill(SCRIPTS[name], tmp_path / "run", int(rng.integers(*files)), rng.uniform(0, 0.005))
    assert same(fit(target, method, tmp_path / "run"), fit(target, method))


def test_a_checkpoint_is_of_one_run(tmp_path):
    folder, short = tmp_path / "run", nuts(warmup=5, draws=5)
    fit(ONE, short, folder)
    for target, method, seed, what in (
        (ONE, short, 5, "not of the same seed"),
        (ONE, nuts(warmup=5, draws=6), 4, "not of the same settings"),
        (MODELS.one(y=[1.2, 0.4, 2.9, 1.9]), short, 4, "not of the same data"),
    ):
        with pytest.raises(DiagnosticError, match=f"E898.*{what}"):
            fit(target, method, folder, seed)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-aunt.txt").write_text("…")
    with pytest.raises(DiagnosticError, match="E898.*holds other things"):
        fit(ONE, short, tmp_path / "letters")
    (folder / "lane-1.npz").write_bytes(b"half a file")
    with pytest.raises(DiagnosticError, match="E898.*lane-1.npz.*cannot be read"):
        fit(ONE, short, folder)


def test_a_disk_that_takes_no_more_is_an_error_of_its_own(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    fit(ONE, nuts(warmup=5, draws=5), tmp_path / "run")
    (tmp_path / "run" / "lane-0.npz").unlink()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiagnosticError, match="E898.*cannot be written.*No space left"):
        fit(ONE, nuts(warmup=5, draws=5), tmp_path / "run")


def test_what_has_no_checkpoints_says_so(tmp_path):
    with pytest.raises(DiagnosticError, match="E898.*`map` has no checkpoints"):
        fit(ONE, ppl.map(), tmp_path / "a")
    with pytest.raises(DiagnosticError, match="E898.*`exact` has no checkpoints on the mach"):
        ppl.infer(ONE, ppl.exact(), engine="machine", progress=False, checkpoint=tmp_path / "b")
    with pytest.raises(DiagnosticError, match="E811.*path of a folder"):
        fit(ONE, nuts(), 3)
