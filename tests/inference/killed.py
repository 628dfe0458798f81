"""Runs that are killed as they write their checkpoints, again and again, until one comes to its
end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppl.inference import folder


class Killed(BaseException):
    """Stands for the end of the process: nothing that handles errors sees it."""


def finished(run: Callable[[], Any], *, kills: int, gaps: tuple[int, int] = (2, 8)) -> Any:
    """What `run` gives in the end. Files are written at every chance; so many of them after one
    process was killed, the next is, before the file has its name."""
    rename, rng = os.replace, np.random.default_rng(7)
    left, made = 2, 0

    def maybe_killed(a: Any, b: Any) -> None:
        nonlocal left, made
        left -= 1
        if left == 0:
            made, left = made + 1, int(rng.integers(*gaps))
            raise Killed
        rename(a, b)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "EVERY", 0.0)
        patch.setattr(os, "replace", maybe_killed)
        for _ in range(200):
            try:
                found = run()
            except Killed:
                continue
            assert made >= kills
            return found
    raise AssertionError("it came to no end")


#: what a script says first: it is killed, by the system, a moment after so many files were written
DYING = """
import os, signal, sys, threading, time
from ppl.inference import folder
folder.EVERY = 0.0
rename, left = os.replace, int(sys.argv[2])
def dying(a, b):
    global left
    rename(a, b)
    left -= 1
    if left == 0:
        threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), signal.SIGKILL)).start()
os.replace = dying
"""


def kill(script: str, place: Path, after: int, moment: float) -> None:
    """Run a script, which writes its checkpoint at `sys.argv[1]`, until it is killed, `moment`
    seconds after it has written so many files."""
    command = [sys.executable, "-c", DYING + script + "\ntime.sleep(60)", str(place)]
    done = subprocess.run([*command, str(after), str(moment)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
