"""A fresh process from the command line to the posterior table of eight schools.

Both sides run four chains of NUTS with the same numbers of iterations in double precision and
print a summary. Cold: an empty compilation cache. Warm: the cache that earlier runs left; NumPyro's
script is given JAX's persistent cache too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.figures import Figure

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "eight_schools"
TARGETS = {"startup/cold": 0.9, "startup/warm": 0.6}
NAMES = tuple(TARGETS)


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    rounds = 3
    ours_cold, ours_warm, theirs_cold, theirs_warm = ([] for _ in range(4))
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
            ours_cold.append(_seconds(_ours(), ours))
            theirs_cold.append(_seconds(_numpyro(), theirs))
            if "startup/warm" in wanted:
                _seconds(_ours(), ours), _seconds(_numpyro(), theirs)  # caches fill
                ours_warm.append(_seconds(_ours(), ours))
                theirs_warm.append(_seconds(_numpyro(), theirs))
    for name, ours, theirs in (
        ("startup/cold", ours_cold, theirs_cold),
        ("startup/warm", ours_warm, theirs_warm),
    ):
        if name in wanted:
            yield Figure(name, median(ours), median(theirs), TARGETS[name], "s")


def _ours() -> list[str]:
    """What the installed `ppl` script does, also where it is not installed."""
    command = [sys.executable, "-c", "from ppl.cli import main; main()"]
    files = [str(EXAMPLE / "model.ppl"), "--data", str(EXAMPLE / "data.json")]
    return [*command, "run", *files, "--method", "nuts", "--seed", "1"]


def _numpyro() -> list[str]:
    return [sys.executable, str(Path(__file__).parent / "numpyro_eight_schools.py")]


def _seconds(command: list[str], cache: str) -> float:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": cache,
        "XDG_CACHE_HOME": cache,
    }
    # installed packages have their bytecode, and so has a checkout that has run before
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds = perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return seconds
