"""Inference on XLA: what each method finds, as a posterior.

Apart from `ppl.infer`, because it imports JAX, which runs on the machine do without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import jax

from ppl.cache import use_compilation_cache
from ppl.checkpoints import checkpoint_of
from ppl.kept import infer_kept
from ppl.methods import about_run, name_of
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import fail
from ppl.semantics.precision import precision
from ppl.semantics.processes import in_step
from ppl.target import Target


def infer_on_xla(
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Path | None = None,
    stream: Path | None = None,
) -> Posterior:
    """The posterior of a program that XLA runs, by one of its methods.

    Raises:
        DiagnosticError: the method cannot treat the program, or found no point to start from;
            E898, the checkpoint is of another run, or the method has none.
        Interrupted: a KeyboardInterrupt stopped it; its `posterior` has the draws so far.
    """
    use_compilation_cache()
    in_step()
    if (checkpoint or stream) and jax.process_count() > 1:
        raise fail(
            "E898",
            "runs that several processes share have no checkpoints, and do not stream",
            hint="leave it out, or run in one process",
        )
    name = name_of(method)
    with precision(getattr(method, "precision", None)) as scope:
        if stream is not None:
            return _streaming(method, target, seed, progress, checkpoint, stream)
        if checkpoint is None:
            if name in KEPT and (found := infer_kept(method, target, seed, progress, scope)):
                return found
            return _runner(name)(method, target, seed, progress)
        if _RUNNERS[name] not in (*STREAMED, *RESUMED):
            raise fail(
                "E898",
                f"`{name}` has no checkpoints",
                hint="chains have, and populations of particles: nuts, mcmc, pgibbs, smc, …",
            )
        kept = checkpoint_of(checkpoint, about_run(method, target.name, seed), target, method)
        return _runner(name)(method, target, seed, progress, kept)


def _streaming(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Path | None, file: Path
) -> Posterior:
    """The posterior of chains whose draws go to a file, by way of a checkpoint."""
    name = name_of(method)
    if _RUNNERS[name] not in STREAMED:
        raise fail(
            "E811",
            f"stream = {str(file)!r}: `{name}` draws all at once, and chains stream",
            hint="leave it out, and save the posterior: posterior.save(path)",
        )
    folder = checkpoint or file.with_name(f"{file.name}.parts")
    kept = checkpoint_of(folder, about_run(method, target.name, seed), target, method)
    kept = replace(kept, holds=False)
    posterior = _runner(name)(method, target, seed, progress, kept, file)
    if checkpoint is None:
        kept.remove()
    return posterior


def _runner(name: str) -> Callable[..., Posterior]:
    """What runs a method; its module is imported when it is first asked for."""
    module, function = _RUNNERS[name].split(".")
    return getattr(import_module(f"ppl.{module}"), function)


#: where each method is run: a module, and its function
_RUNNERS = {
    "nuts": "chains.by_gradients",
    "hmc": "chains.by_gradients",
    "mcmc": "chains.by_kernels",
    "pgibbs": "chains.by_kernels",
    "pmmh": "chains.by_kernels",
    "importance": "populations.by_importance",
    "smc": "populations.by_smc",
    "rmsmc": "populations.by_rmsmc",
    "smc2": "populations.by_smc2",
    "exact": "populations.by_exact",
    "map": "chains.by_map",
    "laplace": "chains.by_laplace",
    "tempered_smc": "populations.by_tempered",
    "waste_free": "populations.by_tempered",
    "ais": "populations.by_tempered",
}
#: those whose programs are kept for later processes
KEPT = ("nuts", "hmc")
#: those that go on from checkpoints and can stream, and those that only go on
STREAMED = ("chains.by_gradients", "chains.by_kernels")
RESUMED = (
    "populations.by_importance",
    "populations.by_smc",
    "populations.by_rmsmc",
    "populations.by_smc2",
    "populations.by_tempered",
)
