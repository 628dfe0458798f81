"""`ppl.infer`: a target and a method give a posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ppl.engines import on_engine
from ppl.methods import as_method, checked_seed, name_of
from ppl.posterior import Interrupted, Posterior
from ppl.replicas import joined
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note, fail
from ppl.semantics.machine.limits import Limits
from ppl.target import Target, checked_target

#: methods whose replicas are runs of their own
REPLICATED = frozenset(("smc", "rmsmc", "smc2"))
#: what is said where no run has positive weight
IMPOSSIBLE = frozenset(("E810", "E895"))


def infer(
    target: Target,
    method: Any = None,
    *,
    seed: int = 0,
    progress: bool = True,
    engine: str = "auto",
    limits: Limits | None = None,
    checkpoint: str | PathLike[str] | None = None,
    stream: str | PathLike[str] | None = None,
) -> Posterior:
    """Infer the normalised law of a target.

    `method` is one of `ppl.nuts()`, `ppl.exact()`, …, or its name; NUTS by default. The same seed
    gives the same result. `progress` shows a bar on terminals. `engine` is what runs the program:
    "xla", "machine", or by default what the compiler chooses (`ppl check --engine` says why).
    `limits` bound the steps, the time and the memory of runs on the machine (`ppl.limits()`).
    `checkpoint` names a folder in which chains and particles write down how far they are, every
    few seconds: called again after the process was killed, they go on, and the posterior is bit
    for bit the one that would have been. `stream` names a NetCDF file that draws of chains go
    to, as `Posterior.save` writes it, without ever being in memory all at once; the posterior
    reads them from there when they are asked for.

    Raises:
        DiagnosticError: the method cannot treat the program (it names the site and what could),
            or found no point to start from; E716, the engine asked for cannot run it; E843, E847,
            E848, a limit was reached; E898, the checkpoint is of another run, or the method has
            none.
        Interrupted: a KeyboardInterrupt (Ctrl-C) stopped it; its `posterior` has the draws so far,
            if the method makes them one by one (chains, importance on the machine), else None.
    """
    target, method = checked_target("infer", target), as_method(method)
    seed = checked_seed(seed)

    def run(seed: int, folder: Path | None) -> Posterior:
        def on_xla() -> Posterior:
            from ppl.xla import infer_on_xla  # imports JAX

            return infer_on_xla(method, target, seed, progress, folder, file)

        return on_engine(
            engine,
            method,
            target,
            seed,
            progress,
            on_xla,
            limits=limits,
            checkpoint=folder,
            stream=file,
        )

    folder = None if checkpoint is None else _path("checkpoint", checkpoint, "folder")
    file = None if stream is None else _path("stream", stream, "file")
    try:
        posterior = run(seed, folder)
        if name_of(method) in REPLICATED and method.replicas > 1:
            posterior = _replicated(posterior, method.replicas, seed, folder, run)
        if not _holds_zero_weights(posterior) or (why := _illegal_laws(target, seed)) is None:
            return posterior
        return replace(posterior, remarks=(*posterior.remarks, why))
    except Interrupted:
        raise
    except DiagnosticError as error:
        problem, *others = error.diagnostics
        if problem.code not in IMPOSSIBLE or (why := _illegal_laws(target, seed)) is None:
            raise
        notes = (*problem.notes, Note(why.message))
        raise DiagnosticError(replace(problem, notes=notes), *others) from None
    except KeyboardInterrupt:  # nothing was drawn yet, or nothing is before the end
        raise Interrupted(None) from None


def _replicated(
    posterior: Posterior,
    replicas: int,
    seed: int,
    folder: Path | None,
    run: Callable[[int, Path | None], Posterior],
) -> Posterior:
    """The posterior of independent runs, of which it is the first."""
    filters = [posterior]
    for r in range(1, replicas):
        (word,) = np.random.SeedSequence([seed % 2**64, r]).generate_state(1, np.uint64)
        other = int(word.astype(np.int64))
        filters.append(run(other, folder and folder / f"replica-{r}"))
    return joined(filters)


def _path(name: str, given: Any, what: str) -> Path:
    if not isinstance(given, (str, PathLike)):
        raise fail("E811", f"{name} = {given!r}: it must be the path of a {what}")
    return Path(given)


def _illegal_laws(target: Target, seed: int) -> Diagnostic | None:
    from ppl.impossible import illegal_laws, raise_first_fault  # few inferences need them

    raise_first_fault(target, seed)
    return illegal_laws(target, seed)


def _holds_zero_weights(posterior: Posterior) -> bool:
    weights = posterior.log_weights
    return weights is not None and bool(np.any(np.asarray(weights) == -np.inf))
