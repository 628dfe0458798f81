"""The progress bar: drawn on terminals, silent elsewhere."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import pytest

import ppl
from ppl.progress import progress_bar


def test_nothing_is_drawn_where_nobody_looks(capsys):
    assert not sys.stderr.isatty()
    with progress_bar() as report:
        assert report is None
    assert capsys.readouterr().err == ""


def test_the_bar_shows_steps_phase_and_divergences(capsys):
    with progress_bar(True, title="sampling") as report:
        assert report is not None
        report(300, 4000, {"phase": "warmup", "divergences": 0})
        report(2500, 4000, {"phase": "draws", "divergences": 7})
    drawn = capsys.readouterr().err
    assert "2500/4000" in drawn and "draws" in drawn and "divergences 7" in drawn
    assert "divergences 0" not in drawn


SERIES = """
model series(ys: [real]) {
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, 1); observe y ~ normal(x, 0.7); return x }
  return xs
}
"""


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (ppl.smc(particles=150), {"ESS", "log evidence"}),
        (ppl.smc(particles=5, trajectories=2), {"ESS", "log evidence"}),
        (ppl.rmsmc(particles=5), {"ESS", "log evidence"}),
        (ppl.mcmc(chains=1, draws=300, warmup=0), {"acceptance"}),
    ],
    ids=["smc", "trajectories", "rmsmc", "mcmc"],
)
def test_the_machine_tells_how_a_run_is(monkeypatch, method, told):
    seen = []
    bar = nullcontext(lambda done, total, info: seen.append((done, total, info)))
    for module in ("particles", "chains"):
        monkeypatch.setattr(f"ppl.run_{module}.progress_bar", lambda *_, **__: bar)
    target = ppl.compile(SERIES).series(ys=[0.3, 1.1, -0.4])
    ppl.infer(target, method, seed=1, engine="machine")
    *_, last = (info for _, _, info in seen)
    assert told <= last.keys()
    assert all(done <= total for done, total, _ in seen)
    if "ESS" in told:
        (size, n), known = last["ESS"].split(" of "), {150, 5}
        assert 0 < float(size) <= float(n) and int(n) in known
