"""Inference on XLA: what each method finds, as a posterior.

Apart from `ppl.infer`, because it imports JAX, which runs on the machine do without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from ppl.cache import use_compilation_cache
from ppl.chains import by_gradients, by_kernels, by_laplace, by_map
from ppl.checkpoints import checkpoint_of
from ppl.methods import about_run, name_of
from ppl.populations import by_exact, by_importance, by_smc, by_tempered
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import fail
from ppl.semantics.precision import precision
from ppl.semantics.xla.sharing import in_step
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
    run = _RUNNERS[name_of(method)]
    with precision(getattr(method, "precision", None)):
        if stream is not None:
            return _streaming(method, target, seed, progress, checkpoint, stream)
        if checkpoint is None:
            return run(method, target, seed, progress)
        if run not in (by_gradients, by_kernels, by_importance, by_smc, by_tempered):
            raise fail(
                "E898",
                f"`{name_of(method)}` has no checkpoints",
                hint="chains have, and populations of particles: nuts, mcmc, pgibbs, smc, …",
            )
        kept = checkpoint_of(checkpoint, about_run(method, target.name, seed), target, method)
        return run(method, target, seed, progress, kept)


def _streaming(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Path | None, file: Path
) -> Posterior:
    """The posterior of chains whose draws go to a file, by way of a checkpoint."""
    run = _RUNNERS[name_of(method)]
    if run not in (by_gradients, by_kernels):
        raise fail(
            "E811",
            f"stream = {str(file)!r}: `{name_of(method)}` draws all at once, and chains stream",
            hint="leave it out, and save the posterior: posterior.save(path)",
        )
    folder = checkpoint or file.with_name(f"{file.name}.parts")
    kept = checkpoint_of(folder, about_run(method, target.name, seed), target, method)
    kept = replace(kept, holds=False)
    posterior = run(method, target, seed, progress, kept, file)
    if checkpoint is None:
        kept.remove()
    return posterior


_RUNNERS: dict[str, Callable[..., Posterior]] = {
    "nuts": by_gradients,
    "hmc": by_gradients,
    "mcmc": by_kernels,
    "pgibbs": by_kernels,
    "pmmh": by_kernels,
    "importance": by_importance,
    "smc": by_smc,
    "exact": by_exact,
    "map": by_map,
    "laplace": by_laplace,
    "tempered_smc": by_tempered,
    "waste_free": by_tempered,
    "ais": by_tempered,
}
