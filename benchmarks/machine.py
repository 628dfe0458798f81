"""The machine: block steps a second, and models side by side with WebPPL.

Both sides infer once in a process of their own on the same core, with the same number of samples,
and their estimates must agree. All figures are processor seconds (`cpu s`), collection of garbage
and compilation while running included, so that other work on the machine does not count. `NAME`
leaves out starting, loading and compiling; `NAME-start` is the whole process. WebPPL is installed
from npm into .cache when it is first needed. `NAME-xla` compares XLA, compiled, with the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent
WEBPPL = "0.9.15"
ROUNDS = 3
#: microseconds a step: two million steps a second
STEP = 0.5
DEPTH = 200_000


@dataclass(frozen=True)
class Contest:
    """n samples of a model by `method`; WebPPL's `options`. tolerance: between the two estimates,
    or None where ours has a standard error, which then allows six of the difference."""

    model: str
    method: str
    n: int
    options: str
    target: float
    tolerance: float | None = None


def _forward(model: str, n: int, target: float) -> Contest:
    return Contest(model, "forward", n, f'{{method: "forward", samples: {n}}}', target)


def _chain(model: str, n: int, *, tolerance: float) -> Contest:
    """Single-site Metropolis-Hastings, n steps."""
    options = f'{{method: "MCMC", samples: {n}, burn: {n // 20}}}'
    return Contest(model, "mcmc", n, options, 1.0, tolerance)


CONTESTS = {
    "machine/geometric": _forward("geometric", 20_000, 2.0),
    "machine/pcfg": _forward("pcfg", 10_000, 1.0),
    "machine/piecewise": _forward("piecewise", 10_000, 1.0),
    "machine/crp": _forward("crp", 4_000, 1.0),
    "machine/smc": Contest(
        "walk_filter", "smc", 4_000, '{method: "SMC", particles: 4000}', 0.5, tolerance=2.0
    ),
    "machine/mcmc": _chain("changes", 20_000, tolerance=0.2),
    "machine/regression": _chain("regression", 10_000, tolerance=0.1),
    "machine/hmm": _chain("hmm20", 20_000, tolerance=0.25),
}
#: what XLA can run is to be faster there, compiled, than on the machine
ON_XLA = {
    f"{name}-xla": CONTESTS[name] for name in ("machine/smc", "machine/regression", "machine/hmm")
}
NAMES = (
    "machine/steps",
    *(f"{name}{end}" for name in CONTESTS for end in ("", "-start")),
    *ON_XLA,
)


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    if "machine/steps" in wanted:
        yield Figure("machine/steps", _seconds_a_step() * 1e6, STEP, 1.0, "cpu us")
    for name in (n for n in ON_XLA if n in wanted):
        yield _on_xla(name, ON_XLA[name])
    chosen = {k: c for k, c in CONTESTS.items() if {k, f"{k}-start"} & set(wanted)}
    if not chosen:
        return
    package = webppl()
    for name, contest in chosen.items():
        ours, theirs = _compete(contest, package)
        for end, part in (("", 0), ("-start", 1)):
            if name + end in wanted:
                mine, other = (median(x[part] for x in side) for side in (ours, theirs))
                yield Figure(name + end, mine, other, contest.target, "cpu s")


def _on_xla(name: str, contest: Contest) -> Figure:
    """XLA against the machine."""
    sides = []
    for method in (f"{contest.method}-xla", contest.method):
        command = [sys.executable, "-m", "benchmarks.ours_machine", contest.model, method]
        sides.append([_run([*command, str(contest.n)]) for _ in range(ROUNDS)])
    (xla, *_), (machine, *_) = sides
    if abs(xla[2]["mean"] - machine[2]["mean"]) > (contest.tolerance or 0):
        raise RuntimeError(f"{contest.model}: XLA and the machine do not estimate the same thing")
    ours, theirs = (median(found[0] for found in side) for side in sides)
    return Figure(name, ours, theirs, 1.0, "cpu s")


def _seconds_a_step() -> float:
    """Processor seconds of one block: a recursion that is two blocks deep at each level."""
    us = [sys.executable, "-m", "benchmarks.ours_machine", "steps", "blocks", str(DEPTH)]
    found = [_run(us) for _ in range(ROUNDS)]
    if any(mean != DEPTH * (DEPTH + 1) // 2 for mean in (f[2]["mean"] for f in found)):
        raise RuntimeError("the recursion gave a wrong sum")
    return median(f[0] for f in found) / (2 * DEPTH)


# ------------------------------------------------------------------------------------ side by side


def webppl() -> Path:
    """Where the package is; installed on first use."""
    home = ROOT / ".cache" / "webppl"
    package = home / "node_modules" / "webppl"
    if (package / "package.json").exists():
        return package
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise RuntimeError(
            "these figures compare with WebPPL, which needs node and npm: install them"
        )
    home.mkdir(parents=True, exist_ok=True)
    command = [
        "npm",
        "install",
        "--prefix",
        str(home),
        "--no-audit",
        "--no-fund",
        f"webppl@{WEBPPL}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"npm could not install webppl {WEBPPL}:\n{done.stderr.strip()}")
    return package


Timed = tuple[float, float]  # inference, whole process


def _compete(contest: Contest, package: Path) -> tuple[list[Timed], list[Timed]]:
    model = HERE / "models" / f"{contest.model}.wppl"
    us = [sys.executable, "-m", "benchmarks.ours_machine"]
    us += [contest.model, contest.method, str(contest.n)]
    them = ["node", str(HERE / "webppl.js"), str(package), str(model), contest.options]
    ours, theirs = [], []
    for i in range(ROUNDS):
        for side, command in ((ours, us), (theirs, them))[:: 1 if i % 2 == 0 else -1]:
            side.append(_run(command))
    mine, other = ours[0][2], theirs[0][2]
    allowed = contest.tolerance
    if allowed is None:
        allowed = 6 * 2**0.5 * mine["error"]
    if abs(mine["mean"] - other["mean"]) > allowed:
        raise RuntimeError(
            f"{contest.model}: we estimate {mine['mean']:.4g}, WebPPL {other['mean']:.4g}, "
            f"which are not the same thing"
        )
    return [x[:2] for x in ours], [x[:2] for x in theirs]


def _run(command: list[str]) -> tuple[float, float, dict[str, Any]]:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, preexec_fn=_on_one_core
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"], found["whole"], found


def _on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
