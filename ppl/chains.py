"""Methods on XLA that follow the log density: chains, modes, and what chains draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppl.executions import from_positions, stream_positions
from ppl.inference import chains
from ppl.inference.chains import Draws
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.schedule import Schedule
from ppl.methods import about_run, name_of, noncentred
from ppl.posterior import Interrupted, Posterior
from ppl.progress import progress_bar
from ppl.semantics.diagnostics import Diagnostic
from ppl.semantics.xla.sites import Free
from ppl.semantics.xla.state import SiteRule
from ppl.target import Target


def by_gradients(
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Checkpoint | None = None,
    stream: Path | None = None,
) -> Posterior:
    if name_of(method) == "nuts":
        from ppl.inference.nuts import run_nuts as run
    else:
        from ppl.inference.hmc import run_hmc as run
    about = about_run(method, target.name, seed)
    free = Free(noncentred=noncentred(method))
    density = target.density
    if free.noncentred:
        density = target.bound.density(target.data, free.noncentred)
    return _sampled(
        lambda report: run(
            density, target.data, method, seed=seed, checkpoint=checkpoint, progress=report
        ),
        target,
        progress,
        free=free,
        stream=stream,
        **about,
    )


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
        return chains.run_chains(
            density,
            kernel,
            target.data,
            plan,
            seed=seed,
            checkpoint=checkpoint,
            progress=report,
        )

    about = about_run(method, target.name, seed)
    return _sampled(run, target, progress, free=rule_of(density), stream=stream, **about)


def _sampled(
    run: Callable[[Any], Draws],
    target: Target,
    progress: bool,
    *,
    free: SiteRule,
    settings: Mapping[str, Any],
    stream: Path | None = None,
    **about: Any,
) -> Posterior:
    """What chains draw; what they had drawn when the user stops them, unless it is in a file."""
    about |= {"settings": settings}
    try:
        with progress_bar(None if progress else False, title="sampling") as report:
            draws = run(report)
    except chains.Interrupted as stop:
        if stop.draws is None:
            raise Interrupted(None) from None
        posterior = from_positions(target, stop.draws, free=free, **about)
        made = "{} x {}".format(*posterior.shape)
        remark = Diagnostic(
            "W896",
            f"stopped by the user with {made} of {settings['chains']} x {settings['draws']} draws",
        )
        raise Interrupted(replace(posterior, remarks=(*posterior.remarks, remark))) from None
    if stream is not None:
        return stream_positions(target, draws, stream, free=free, **about)
    return from_positions(target, draws, free=free, **about)


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
