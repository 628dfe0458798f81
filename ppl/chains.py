"""Methods on XLA that follow the log density: chains, modes, and what chains draw."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ppl.executions import from_positions, stream_positions
from ppl.failing import failing_casts
from ppl.inference.chains import run_chains
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.hmc import hmc_kernel, run_hmc
from ppl.inference.nuts import nuts_kernel, run_nuts
from ppl.inference.sampling import Draws
from ppl.inference.schedule import Schedule
from ppl.keeping import infer_keeping
from ppl.methods import about_run, name_of, noncentred
from ppl.posterior import Posterior
from ppl.sampling import sampled
from ppl.semantics.xla.sites import Free
from ppl.target import Target


def by_gradients(
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Checkpoint | None = None,
    stream: Path | None = None,
) -> Posterior:
    nuts = name_of(method) == "nuts"
    free = Free(noncentred=noncentred(method))
    density = target.density
    if free.noncentred:
        density = target.bound.density(target.data, free.noncentred)

    def run(report: Any) -> Draws:
        return (run_nuts if nuts else run_hmc)(
            density, target.data, method, seed=seed, checkpoint=checkpoint, progress=report
        )

    if checkpoint is None and density.size:
        kernel = (nuts_kernel if nuts else hmc_kernel)(density, method)
        found = infer_keeping(method, target, density, kernel, seed, progress, free)
        if found is not None:
            return found
    finish = _finish(method, target, seed, stream, free=free)
    doubt = partial(failing_casts, target, free=lambda: free)
    return sampled(run, finish, progress, method, doubt)


def by_kernels(
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Checkpoint | None = None,
    stream: Path | None = None,
) -> Posterior:
    from ppl.inference.kernels.xla.blocks import held_by
    from ppl.inference.kernels.xla.chain import chain_kernel
    from ppl.semantics.xla.mixed import mixed_density, rule_of

    density = mixed_density(target.bound, target.data, held_by(method.kernel))
    kernel = chain_kernel(density, method.kernel, method.warmup, method.thin)
    plan = Schedule(method.warmup, method.draws, method.chains, method.thin)

    def run(report: Any) -> Draws:
        return run_chains(
            density,
            kernel,
            target.data,
            plan,
            seed=seed,
            checkpoint=checkpoint,
            progress=report,
        )

    free = rule_of(density)
    finish = _finish(method, target, seed, stream, free=free)
    doubt = partial(failing_casts, target, free=lambda: free)
    return sampled(run, finish, progress, method, doubt)


def _finish(method: Any, target: Target, seed: int, stream: Path | None, *, free: Any) -> Any:
    """From draws, which go to a file if there is one to stream to, to the posterior."""
    about = about_run(method, target.name, seed)
    if stream is not None:
        return partial(stream_positions, target, path=stream, free=free, **about)
    return partial(from_positions, target, free=free, **about)


def by_map(method: Any, target: Target, seed: int, progress: bool) -> Posterior:
    from ppl.inference.map import run_map

    mode = run_map(target.density, target.data, method, seed=seed)
    draws = Draws({k: v[None, None] for k, v in mode.position.items()}, {}, "map", 0.0)
    about = about_run(method, target.name, seed)
    return from_positions(target, draws, lp=mode.log_density, **about)


def by_laplace(method: Any, target: Target, seed: int, progress: bool) -> Posterior:
    from ppl.inference.laplace import run_laplace

    fit = run_laplace(target.density, target.data, method, seed=seed)
    draws = Draws(fit.position, {}, "laplace", 0.0)
    about = about_run(method, target.name, seed)
    return from_positions(target, draws, evidence=fit.log_evidence, **about)
