"""Programs that are kept for later processes: the same draws, and whatever is not whole is ignored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import ppl
from ppl import keeping, kept
from ppl.cache import VARIABLE
from ppl.executions import whole_run
from ppl.inference import executables
from ppl.inference.recover import compiled
from ppl.semantics.analysis import static_params
from ppl.semantics.precision import precision
from ppl.semantics.xla.data import split_static
from ppl.semantics.xla.fixed import as_data
from ppl.semantics.xla.sites import Free
from ppl.settings import together
from ppl.trees import leaves

pytestmark = pytest.mark.usefixtures("quick_compilation")

TEXT = """
model pooled(y: [real?], sigma: [pos], shift: {size: real, when: bool}) {
  mu ~ normal(0, 5)
  z ~ bernoulli(0.3)
  theta ~ for _ in y { normal(mu, 2) }
  let more = if z { shift.size } else { 0.5 }
  for (t, yj, s) in zip(theta, y, sigma) { observe yj ~ normal(t + more, s) }
  return {mu, pair: (theta, z), none: ()}
}
"""
DATA = {
    "y": [0.3, 2.9, None, -1.4],
    "sigma": [1.0, 0.7, 2.0, 1.1],
    "shift": {"size": 2.5, "when": True},
}
MODELS = ppl.compile(TEXT)
METHOD = ppl.hmc(chains=2, draws=30, warmup=20, target_accept=0.7)


def infer(seed: int = 5, **data) -> ppl.Posterior:
    kept.load.cache_clear()  # another process would not have read it
    return ppl.infer(MODELS.pooled(**DATA | data), METHOD, seed=seed, progress=False)


def same(a: ppl.Posterior, b: ppl.Posterior) -> bool:
    """Bit for bit."""

    def bits(p):
        named = {**p.draws, **{f"stat {k}": v for k, v in p.stats.items()}}
        arrays = [*sorted(named.items()), *enumerate(leaves(p.result))]
        return [(k, np.asarray(x).dtype, np.asarray(x).tobytes()) for k, x in arrays]

    return bits(a) == bits(b) and str(a.summary()) == str(b.summary())


@pytest.fixture(scope="module")
def made(quick_compilation, tmp_path_factory):
    """A folder with kept programs, and the posterior that was found when they were made."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder))
        return folder, infer()


@pytest.fixture
def folder(made, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(made[0]))
    return made[0] / "programs"


@pytest.fixture
def untraced(monkeypatch):
    """Nothing is traced."""

    def refuse(name):
        raise AssertionError(f"{name} was traced")

    monkeypatch.setattr("ppl.xla._runner", refuse)


def test_kept_programs_give_the_draws_of_traced_ones(made, folder, untraced):
    assert folder.stat().st_mode & 0o777 == 0o700
    again = infer()
    assert same(again, made[1]) and again.shape == (2, 30)
    assert set(again.draws) == {"mu", "z", "theta", "y"} and again["y"].shape == (2, 30, 4)
    assert np.isnan(again["y"][..., [0, 1, 3]]).all() and not np.isnan(again["y"][..., 2]).any()
    assert isinstance(again.result["pair"], tuple) and again.result["none"] is None
    other = infer(y=[1.3, None, 0.2, -1.4])
    assert not same(other, again) and np.isnan(other["y"][..., 2]).all()


def test_so_do_programs_that_are_not_kept(made, monkeypatch):
    monkeypatch.setenv(VARIABLE, "off")
    assert same(infer(), made[1])
    assert len(list((made[0] / "programs").iterdir())) == 1


def test_a_later_process_imports_no_evaluator(made, tmp_path, root):
    (tmp_path / "m.ppl").write_text(TEXT)
    (tmp_path / "d.json").write_text(json.dumps(DATA))
    settings = "--seed 5 --chains 2 --draws 30 --warmup 20 --set target_accept=0.7"
    files = [str(tmp_path / "m.ppl"), "--data", str(tmp_path / "d.json")]
    arguments = ["run", *files, "--method", "hmc", *settings.split()]
    code = f"import sys; from ppl.cli import main; main({arguments}, standalone_mode=False)"
    code += "; print(*sys.modules, file=sys.stderr)"
    environment = {VARIABLE: str(made[0]), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, **environment},
    )
    assert done.stdout.rstrip() == str(made[1].summary()), done.stderr[-2000:]
    loaded = done.stderr.splitlines()[-1].split()
    assert "jax" in loaded
    heavy = ("numpyro", "diffrax", "arviz", "xarray", "pandas", "matplotlib", "ppl.semantics.xla")
    assert not [m for m in loaded if m.startswith(heavy)]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def change(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def foreign(file: Path) -> None:
    executables.write(file, {"of": "others"}, {"start": b"no program"})


def other_programs(file: Path) -> None:
    about, programs = executables.read(file) or ({}, {})
    executables.write(file, about, dict.fromkeys(programs, programs["recover"]))


def made_otherwise(file: Path) -> None:
    about, programs = executables.read(file) or ({}, {})
    executables.write(file, {**about, "mode": "vectorised", "chains": 7}, programs)


@pytest.mark.parametrize(
    "spoil", [cut, change, empty, foreign, other_programs, made_otherwise, Path.unlink]
)
def test_what_is_not_whole_is_ignored_and_written_again(spoil, made, folder, monkeypatch):
    (file,) = folder.iterdir()
    before = executables.read(file)
    spoil(file)
    assert same(infer(), made[1])
    assert before is not None and (now := executables.read(file)) is not None
    assert now[0] == before[0] and now[1].keys() == before[1].keys()
    monkeypatch.setattr("ppl.xla._runner", None)
    assert same(infer(), made[1])


def test_programs_that_cannot_be_kept_are_traced_from_then_on(made, folder, monkeypatch):
    def no_bytes(program):
        raise ValueError("no bytes")

    (file,) = folder.iterdir()
    before = file.read_bytes()
    file.unlink()
    monkeypatch.setattr(keeping, "frozen", no_bytes)
    try:
        assert same(infer(), made[1]) and executables.read(file) == ({}, {})
        monkeypatch.setattr(keeping, "run_kept", None)
        assert same(infer(), made[1]) and executables.read(file) == ({}, {})
    finally:
        file.write_bytes(before)


def test_a_folder_that_others_can_look_into_is_not_used(folder):
    def place():
        with precision() as scope:
            return kept.kept_for(METHOD, MODELS.pooled(**DATA), scope)

    assert place() is not None
    folder.chmod(0o740)
    try:
        assert place() is None
    finally:
        folder.chmod(0o700)


def test_the_files_used_longest_ago_go(tmp_path, monkeypatch):
    monkeypatch.setattr(executables, "MOST", 3)
    for k in range(5):
        file = tmp_path / f"{k}.programs"
        executables.write(file, {"k": k}, {"p": bytes([k])})
        os.utime(file, (k, k))
        executables.read(tmp_path / "0.programs")
    assert {f.name[0] for f in tmp_path.iterdir()} == {"0", "3", "4"}
    assert executables.read(tmp_path / "4.programs") == ({"k": 4}, {"p": b"\4"})


def test_where_a_chain_does_not_start_it_is_traced_and_the_file_stays(made, folder, monkeypatch):
    (file,) = folder.iterdir()
    kept.load.cache_clear()
    whole = kept.load(file)

    def nowhere(data, words, lane):
        state, row, ok = whole.start(data, words, lane)
        return state, row, ok & (lane == 0)

    target = MODELS.pooled(**DATA)
    with precision() as scope:
        monkeypatch.setattr(kept, "load", lambda _: replace(whole, start=nowhere))
        assert kept.infer_kept(METHOD, target, 5, False, scope) is None and file.exists()
        both = replace(whole, start=nowhere, prior=whole.start)
        monkeypatch.setattr(kept, "load", lambda _: both)
        assert same(kept.infer_kept(METHOD, target, 5, False, scope), made[1])


KINDS = """
type shape = Round | Square(real)
model kinds(rows: [{x: real, k: (nat, bool)}], m: [[int]], n: nat, on: bool, label: text, gaps: [[real?]]) {
  a ~ normal(0, 1)
  b ~ for _ in range(n) { normal(a, 1) }
  for r in rows { observe r.x ~ normal(a + (if r.k.1 { 1 } else { r.k.0 }), 1) }
  for row in gaps { for g in row { observe g ~ normal(a, 2) } }
  return {a, b}
}
"""


@pytest.mark.parametrize("numbers", ["double", "single"])
def test_data_are_those_of_the_evaluator(numbers):
    rows = [{"x": 0.5, "k": (2, True)}, {"x": -1.0, "k": (0, False)}, {"x": 0.1, "k": (1, True)}]
    kinds = ppl.compile(KINDS).kinds
    data = dict(rows=rows, m=[], n=3, on=True, label="a", gaps=[[0.1, None], [None, 2], [3, 4]])
    target = kinds(**data).given({"b[1]": 0.5}).do(a=1.5)
    known, ours = kept.data_of(target, numbers)
    with precision(numbers):
        types = {p.name: p.type for p in target.program.entry.params}
        _, passed = split_static(target.plain, types, static_params(target.program))
        passed |= as_data(together(target.settings))[1]
        theirs = [np.asarray(x) for x in jax.tree.leaves(passed)]
    assert len(ours) == len(theirs) > 8
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())
    others = [kinds(**data | {name: v}) for name, v in (("n", 4), ("label", "b"))]
    seen = [repr(kept.data_of(t, numbers)[0]) for t in (kinds(**data), *others)]
    assert len({repr(known), *seen}) == 4


def test_results_with_functions_are_left_to_those_who_trace():
    line = ppl.compile(
        "model line(y: real) { a ~ normal(0, 1)\n observe y ~ normal(a, 1)\n return fn (x: real) => a * x }"
    ).line
    target = line(y=0.3)
    with precision("double") as scope:
        run = compiled(target.bound, 3, whole_run, Free())
        tree = run.eval_shape(target.data, {"a": np.zeros(3)}, 1, 0)
        with pytest.raises(ValueError, match="no plain result"):
            keeping._outputs(tree, target, 3, scope)


def test_plans_of_results():
    tree = {"b": (0, [2, "text", None]), "a": ((), 1)}
    plan = json.loads(json.dumps(kept.planned(tree)))
    assert kept.filled(plan, ["x", "y", "z"]) == {"b": ("x", ["z", "text", None]), "a": ((), "y")}
    assert list(plan) == ["b", "a"]
