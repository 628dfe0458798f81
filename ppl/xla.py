"""Inference on XLA: what each method finds, as a posterior.

Apart from `ppl.infer`, because it imports JAX, which runs on the machine do without.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ppl.cache import use_compilation_cache
from ppl.checkpoints import checkpoint_of
from ppl.executions import from_positions, named, posterior_of, stream_positions, whole_run
from ppl.inference import chains
from ppl.inference.chains import Draws
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.schedule import Schedule
from ppl.methods import name_of, settings_of
from ppl.posterior import Interrupted, Posterior
from ppl.progress import progress_bar
from ppl.semantics.diagnostics import Diagnostic, Note, fail
from ppl.semantics.precision import precision
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.sharing import in_step
from ppl.semantics.xla.sites import Free
from ppl.semantics.xla.state import SiteRule, State
from ppl.semantics.xla.values import RValue
from ppl.target import Target

#: the share of particles below which having so few different ancestors is remarked
LINEAGES = 0.02


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
        if run not in (_chains, _mcmc, _importance, _smc, _tempered):
            raise fail(
                "E898",
                f"`{name_of(method)}` has no checkpoints",
                hint="chains have, and populations of particles: nuts, mcmc, pgibbs, smc, …",
            )
        kept = checkpoint_of(checkpoint, _about(method, target, seed), target, method)
        return run(method, target, seed, progress, kept)


def _streaming(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Path | None, file: Path
) -> Posterior:
    """The posterior of chains whose draws go to a file, by way of a checkpoint."""
    run = _RUNNERS[name_of(method)]
    if run not in (_chains, _mcmc):
        raise fail(
            "E811",
            f"stream = {str(file)!r}: `{name_of(method)}` draws all at once, and chains stream",
            hint="leave it out, and save the posterior: posterior.save(path)",
        )
    folder = checkpoint or file.with_name(f"{file.name}.parts")
    kept = checkpoint_of(folder, _about(method, target, seed), target, method)
    kept = replace(kept, holds=False)
    posterior = run(method, target, seed, progress, kept, file)
    if checkpoint is None:
        kept.remove()
    return posterior


def _about(method: Any, target: Target, seed: int) -> dict[str, Any]:
    settings = settings_of(method)
    return {
        "model": target.name,
        "method": name_of(method),
        "settings": settings,
        "seed": seed,
    }


def _noncentred(method: Any) -> frozenset[str]:
    """The sites to move in standardised coordinates; the command line gives them as one text."""
    names = method.noncenter
    return frozenset(names.split(",") if isinstance(names, str) else names)


# ------------------------------------------------------------------------------ gradient methods


def _chains(
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
    about = _about(method, target, seed)
    free = Free(noncentred=_noncentred(method))
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


def _mcmc(
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

    about = _about(method, target, seed)
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


def _map(method: Any, target: Target, seed: int, progress: bool) -> Posterior:
    from ppl.inference.map import run_map

    mode = run_map(target.density, target.data, method, seed=seed)
    draws = Draws({k: v[None, None] for k, v in mode.position.items()}, {}, "map", 0.0)
    about = _about(method, target, seed)
    return from_positions(target, draws, lp=mode.log_density, **about)


def _laplace(method: Any, target: Target, seed: int, progress: bool) -> Posterior:
    from ppl.inference.laplace import run_laplace

    fit = run_laplace(target.density, target.data, method, seed=seed)
    draws = Draws(fit.position, {}, "laplace", 0.0)
    about = _about(method, target, seed)
    return from_positions(target, draws, evidence=fit.log_evidence, **about)


# ------------------------------------------------------------------------------ weighted methods


def _importance(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None = None
) -> Posterior:
    from ppl.inference.importance import run_importance

    target = target.sampler
    if method.rounds:
        return _adaptive_importance(method, target, seed, checkpoint)
    with progress_bar(None if progress else False, title="sampling") as report:
        found = run_importance(
            target.bound,
            target.data,
            method,
            seed=seed,
            observe=whole_run,
            checkpoint=checkpoint,
            progress=report,
        )
    values, result, faults = found.values
    raise_faults(faults, weights=found.log_weights)
    n = method.particles
    return posterior_of(
        target,
        values,
        result,
        n,
        (1, n),
        log_weights=np.asarray(found.log_weights)[None],
        evidence=float(found.log_evidence),
        evidence_se=float(found.log_evidence_se),
        **_about(method, target, seed),
    )


def _adaptive_importance(
    method: Any, target: Target, seed: int, checkpoint: Checkpoint | None
) -> Posterior:
    from ppl.inference.adaptive_importance import run_adaptive

    found = run_adaptive(target.density, target.data, method, seed=seed, checkpoint=checkpoint)
    position = {name: z[None] for name, z in found.values.items()}
    return from_positions(
        target,
        Draws(position, {}, "importance", 0.0),
        log_weights=found.log_weights[None],
        evidence=found.log_evidence,
        evidence_se=found.log_evidence_se,
        **_about(method, target, seed),
    )


def _smc(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None = None
) -> Posterior:
    from ppl.inference.particles import run_particles

    if method.trajectories is not None:
        return _trajectories(method, target, seed, checkpoint)
    target, guide = target.sampler, method.guide and method.guide.sampler
    with progress_bar(None if progress else False, title="particles") as report:
        found = run_particles(
            target.bound,
            target.data,
            method,
            seed=seed,
            observe=_run_and_roots,
            guide=guide and (guide.bound, guide.data),
            checkpoint=checkpoint,
            progress=report,
            stands=True,
        )
    (values, result, faults), roots = found.values
    raise_faults(faults, weights=found.log_weights)
    n = method.particles
    posterior = posterior_of(
        target,
        values,
        result,
        n,
        (1, n),
        log_weights=found.log_weights[None] + np.log(n),
        evidence=found.log_evidence,
        points={
            "effective_sample_size": found.effective_sizes,
            "resampled": found.resampled,
            "log_evidence": found.so_far,
        },
        standing=found.stood and partial(standing, target, method, seed, found.stood),
        **_about(method, target, seed),
    )
    return _remarked(posterior, method, np.asarray(roots.data))


def _trajectories(
    method: Any, target: Target, seed: int, checkpoint: Checkpoint | None
) -> Posterior:
    from ppl.inference.trajectories import run_trajectories

    if checkpoint is not None:
        raise fail(
            "E898",
            "`smc` has no checkpoints where it draws trajectories backwards",
            hint="leave one of the two out",
        )
    target, n = target.sampler, method.trajectories
    found = run_trajectories(target.bound, target.data, method, seed=seed, observe=whole_run)
    values, result, faults = found.values
    raise_faults(faults)
    return posterior_of(
        target,
        values,
        result,
        n,
        (1, n),
        log_weights=np.full((1, n), found.log_evidence),
        evidence=found.log_evidence,
        points=_told(found.points),
        **_about(method, target, seed),
    )


def _told(points: Any) -> dict[str, np.ndarray]:
    names = ("effective_sample_size", "resampled", "log_evidence")
    return {
        k: v.astype(bool) if k == "resampled" else v for k, v in zip(names, points, strict=True)
    }


def standing(target: Target, method: Any, seed: int, stood: Any, steps: int) -> Any:
    """The particles of a filter where its loop over data ended, after so many steps."""
    from ppl.inference.extend import Waiting

    return Waiting.first(target.bound, method, seed, stood, steps, named)


def extended(waiting: Any, longer: Target, more: Target, steps: int) -> Posterior:
    """The posterior of particles that go on, by so many steps, with the data of `more`, and so have
    come to the end of those of `longer`."""
    method, seed = waiting.settings, waiting.seed
    with precision():
        waiting, faults = waiting.go_on(more.data, steps, named)
        found, log_weights, lines, points = waiting.finish(longer.data, _run_and_roots)
    (values, result, others), _ = found
    raise_faults((*faults, *others), weights=log_weights)
    n = method.particles
    posterior = posterior_of(
        longer,
        values,
        result,
        n,
        (1, n),
        log_weights=log_weights[None] + np.log(n),
        evidence=float(np.logaddexp.reduce(log_weights)),
        points=_told(points),
        standing=lambda _: waiting,
        **_about(method, longer, seed),
    )
    draws = ChainMap(posterior.draws, lines)  # type: ignore[arg-type]
    return _remarked(replace(posterior, draws=draws), method, lines.roots)


def _remarked(posterior: Posterior, method: Any, roots: np.ndarray) -> Posterior:
    left, n = len(np.unique(roots)), method.particles
    if method.keep_history and left < n * LINEAGES:
        return replace(posterior, remarks=(*posterior.remarks, _few_lineages(left, n)))
    return posterior


def _run_and_roots(result: RValue, state: State) -> RValue:
    return whole_run(result, state), state.extra.lineage.roots


def _few_lineages(left: int, n: int) -> Diagnostic:
    return Diagnostic(
        "W890",
        f"the {n} particles descend from {left} of those at the beginning",
        notes=(Note("what was drawn early has only so many different values"),),
        hint="for early choices take more particles, or `pgibbs`; late ones are not concerned",
    )


def _tempered(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None = None
) -> Posterior:
    from ppl.inference.tempered import doubts, run_tempered

    target = target.sampler
    free = Free(noncentred=_noncentred(method))
    density = target.bound.density(target.data, free.noncentred)
    with progress_bar(None if progress else False, title="populations") as report:
        found = run_tempered(
            density, target.data, method, seed=seed, checkpoint=checkpoint, progress=report
        )
    draws = Draws(found.position, {}, "particles", 0.0)
    posterior = from_positions(
        target,
        draws,
        free=free,
        log_weights=found.log_weights + np.log(method.particles),
        evidence=found.log_evidence,
        evidence_se=found.log_evidence_se,
        points=found.history,
        **_about(method, target, seed),
    )
    return replace(posterior, remarks=(*posterior.remarks, *doubts(found)))


def _exact(method: Any, target: Target, seed: int, progress: bool) -> Posterior:
    from ppl.inference.exact import Factored, run_exact

    found = run_exact(target.bound, target.data, method, seed=seed, observe=whole_run)
    about = _about(method, target, seed)
    if isinstance(found, Factored):
        values, result, faults = found.values
        raise_faults(faults)
        n = found.draws
        about |= {"evidence": found.log_evidence, "evidence_se": 0.0, "marginals": found.marginals}
        return posterior_of(target, values, result, n, (1, n), **about)
    values, result, faults = found.values
    raise_faults(faults, weights=found.log_weights)
    n = len(found.log_weights)
    return posterior_of(
        target,
        values,
        result,
        n,
        (1, n),
        log_weights=found.log_weights[None],
        evidence=found.log_evidence,
        evidence_se=0.0,
        exact=True,
        **about,
    )


_RUNNERS: dict[str, Callable[..., Posterior]] = {
    "nuts": _chains,
    "hmc": _chains,
    "mcmc": _mcmc,
    "pgibbs": _mcmc,
    "pmmh": _mcmc,
    "importance": _importance,
    "smc": _smc,
    "exact": _exact,
    "map": _map,
    "laplace": _laplace,
    "tempered_smc": _tempered,
    "waste_free": _tempered,
    "ais": _tempered,
}
