"""Methods on XLA that draw executions with weights: importance, particles, populations, and exact
sums."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.executions import from_positions, named, posterior_of, whole_run
from ppl.holes import drawn
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.sampling import Draws
from ppl.methods import about_run, noncentred
from ppl.posterior import Posterior
from ppl.progress import progress_bar
from ppl.semantics.diagnostics import Diagnostic, Note
from ppl.semantics.precision import precision
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.sites import Free
from ppl.semantics.xla.state import State
from ppl.semantics.xla.values import RValue
from ppl.target import Target

if TYPE_CHECKING:
    from ppl.inference.particles import Particles

#: the share of particles below which having so few different ancestors is remarked
LINEAGES = 0.02


def by_importance(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None = None
) -> Posterior:
    from ppl.inference.importance import run_importance

    target = target.sampler
    if method.rounds:
        return _adaptive_importance(method, target, seed, checkpoint)
    found = _under_bar(run_importance, method, target, seed, progress, checkpoint, title="sampling")
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
        **about_run(method, target.name, seed),
    )


def _under_bar(
    run: Callable[..., Any],
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Checkpoint | None,
    *,
    observe: Callable[[RValue, State], RValue] = whole_run,
    title: str = "particles",
    **more: Any,
) -> Any:
    """What a method's own function finds, which tells a bar how far it is."""
    with progress_bar(None if progress else False, title=title) as report:
        about = {"seed": seed, "observe": observe, "checkpoint": checkpoint, "progress": report}
        return run(target.bound, target.data, method, **about, **more)


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
        **about_run(method, target.name, seed),
    )


def by_smc(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None = None
) -> Posterior:
    from ppl.inference.particles import run_particles

    if method.trajectories is not None:
        return _trajectories(method, target, seed, progress, checkpoint)
    target, guide = target.sampler, method.guide and method.guide.sampler
    found = _under_bar(
        run_particles,
        method,
        target,
        seed,
        progress,
        checkpoint,
        observe=_run_and_roots,
        guide=guide and (guide.bound, guide.data),
        stands=True,
    )
    run, roots = found.values
    go_on = found.stood and partial(standing, target, method, seed, found.stood)
    posterior = _particles(found, run, method, target, seed, standing=go_on)
    return _remarked(posterior, method, np.asarray(roots.data))


def by_rmsmc(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None = None
) -> Posterior:
    from ppl.inference.moving_particles import run_moving_particles

    target = target.sampler
    found = _under_bar(run_moving_particles, method, target, seed, progress, checkpoint)
    return _particles(found, found.values, method, target, seed)


def _particles(
    found: Particles, run: Any, method: Any, target: Target, seed: int, **more: Any
) -> Posterior:
    """The posterior of particles, of which a whole `run` was observed."""
    values, result, faults = run
    raise_faults(faults, weights=found.log_weights)
    n = method.particles
    return posterior_of(
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
            **({} if found.accepted is None else {"acceptance_rate": found.accepted}),
            **found.genealogy,
        },
        **about_run(method, target.name, seed),
        **more,
    )


def _trajectories(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None
) -> Posterior:
    from ppl.inference.trajectories import run_trajectories

    target, n = target.sampler, method.trajectories
    found = _under_bar(run_trajectories, method, target, seed, progress, checkpoint)
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
        **about_run(method, target.name, seed),
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


def extended(
    waiting: Any, longer: Target, more: Target, steps: int, rows_of_guide: Target | None = None
) -> Posterior:
    """The posterior of particles that go on, by so many steps, with the data of `more`, and so have
    come to the end of those of `longer`. `rows_of_guide`: the guide with the new rows alone."""
    seed, guide = waiting.seed, waiting.guide
    method = replace(waiting.settings, guide=guide)
    longer, more = longer.sampler, more.sampler
    with precision():
        beside = rows_of_guide and (rows_of_guide.bound, rows_of_guide.data)
        waiting, faults = waiting.go_on(more.bound, more.data, steps, named, beside)
        finished = waiting.finish(longer.bound, longer.data, _run_and_roots)
    found, log_weights, lines, points, ancestors = finished
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
        points=_told(points) | dict(ancestors),
        standing=lambda _: waiting,
        **about_run(method, longer.name, seed),
    )
    draws = ChainMap(posterior.draws, lines)  # type: ignore[arg-type]
    if longer.holes:
        draws = drawn(longer.holes, {**lines, **posterior.draws})
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


def by_tempered(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None = None
) -> Posterior:
    from ppl.inference.populations import doubts, run_tempered

    target = target.sampler
    free = Free(noncentred=noncentred(method))
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
        **about_run(method, target.name, seed),
    )
    return replace(posterior, remarks=(*posterior.remarks, *doubts(found)))


def by_smc2(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: Checkpoint | None = None
) -> Posterior:
    from ppl.inference.smc2_compiled import run_smc2
    from ppl.semantics.xla.mixed import mixed_density, rule_of

    target = target.sampler
    density = mixed_density(target.bound, target.data, None)
    with progress_bar(None if progress else False, title="parameters") as report:
        found = run_smc2(
            target.bound,
            target.data,
            density,
            method,
            seed=seed,
            checkpoint=checkpoint,
            progress=report,
        )
    return from_positions(
        target,
        Draws({k: u[None] for k, u in found.position.items()}, {}, "particles", 0.0),
        free=rule_of(density),
        log_weights=found.log_weights[None] + np.log(method.particles),
        evidence=float(np.logaddexp.reduce(found.log_weights)),
        points=found.points,
        **about_run(method, target.name, seed),
    )


def by_exact(method: Any, target: Target, seed: int, progress: bool) -> Posterior:
    from ppl.inference.exact import Factored, run_exact

    found = run_exact(target.bound, target.data, method, seed=seed, observe=whole_run)
    about = about_run(method, target.name, seed)
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
