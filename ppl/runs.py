"""The methods that the machine has, each as executions with weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ppl.checkpoints import folder_of
from ppl.methods import name_of, settings_of
from ppl.run_chains import by_chains
from ppl.run_particles import by_importance, by_rmsmc, by_smc, by_smc2, helper_of
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import enumerate_paths
from ppl.target import Target
from ppl.weighted_runs import Resumed, Runs

#: methods that go on where they were
RESUMED = ("importance", "smc", "mcmc", "pgibbs", "pmmh", "rmsmc", "smc2")
#: methods that the machine has
METHODS = ("exact", *RESUMED)


def runs(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Path | None = None
) -> Runs:
    """Executions of a program by one of METHODS; with a `checkpoint` they go on where they were
    when an earlier process was killed.

    Raises:
        DiagnosticError: E898, the checkpoint is of another run, or the method has none.
    """
    name = name_of(method)
    run = {
        "importance": by_importance,
        "exact": _exact,
        "smc": by_smc,
        "mcmc": by_chains,
        "pgibbs": by_chains,
        "pmmh": by_chains,
        "rmsmc": by_rmsmc,
        "smc2": by_smc2,
    }
    target = target if name == "exact" else target.sampler
    if checkpoint is None:
        return run[name](method, target, seed, progress)
    if name not in RESUMED:
        raise fail(
            "E898",
            f"`{name}` has no checkpoints on the machine",
            hint=f"there {', '.join(RESUMED)} have",
        )
    return run[name](method, target, seed, progress, resumed(method, target, seed, checkpoint))


def resumed(
    method: Any, target: Target, seed: int, checkpoint: Path, *, holds: bool = True
) -> Resumed:
    """Where a run of a target that draws what is missing is written down.

    Raises:
        DiagnosticError: E898, the checkpoint is of another run.
    """
    from ppl.semantics.machine.pickles import Pickles

    name = name_of(method)
    about = {"model": target.name, "method": name, "settings": settings_of(method), "seed": seed}
    beside = [helper_of(method, target)] if getattr(method, "guide", None) is not None else []
    pickles = Pickles(target.machine, target.machine.bind(target.plain), *beside)
    return Resumed(folder_of(checkpoint, about, target, method).begin(), pickles, holds)


def _exact(method: Any, target: Target, seed: int, progress: bool) -> Runs:
    paths = enumerate_paths(target.machine, target.plain, limit=method.paths)
    if not paths:
        raise fail(
            "E895",
            "every execution has weight zero, so that there is no posterior",
            hint="no execution agrees with the observations: look at the model's supports and data",
        )
    weights = np.array([p.execution.log_weight + np.log(p.probability) for p in paths])
    if (weights == np.inf).any():
        raise fail(
            "E895",
            "an execution has infinite weight, so that there is no posterior",
            hint="look at each `factor`: its value is finite, or -infinity for what is impossible",
        )
    executions = [p.execution for p in paths]
    total = float(np.logaddexp.reduce(weights))
    return Runs(executions, weights, executions.__getitem__, total, 0.0, exact=True)
