"""Executions of a program on XLA, and what is kept of them in a posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ppl.holes import drawn
from ppl.inference.blocks import joined, padded
from ppl.inference.recover import BLOCK, recover, recovering
from ppl.inference.sampling import Draws
from ppl.posterior import Posterior
from ppl.semantics.jax_compat import is_concrete
from ppl.semantics.precision import default_precision
from ppl.semantics.xla.alternatives import merged
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.outputs import Host, numeric_parts
from ppl.semantics.xla.program import CENTRED, particles
from ppl.semantics.xla.state import SiteRule, State
from ppl.semantics.xla.steps import by_name
from ppl.semantics.xla.values import RValue
from ppl.storage import Stream, streamed
from ppl.target import Target


def named(state: State) -> dict[str, RValue]:
    """Every value bound by `~`, and the choices that are not bound to a name, by path."""
    out: dict[str, RValue] = {}
    for path, v in {**state.sites, **state.kept}.items():
        out.update(numeric_parts(path, v))
    return merged(out)


def observed(state: State) -> dict[str, RValue]:
    """What a run recorded of its observations (their values or scores), by name."""
    out: dict[str, RValue] = {}
    for name, v in state.observed.items():
        out.update(numeric_parts(name, v))
    return out


def is_observation(path: str) -> bool:
    """Whether a site is where an observation was drawn (`for/predict y`): they have names."""
    return any(step.startswith("predict ") for step in path.split("/"))


def _led_by(shape: tuple[int, int], data: Any) -> Any:
    if is_concrete(data):  # else of a function that JAX transforms
        data = np.asarray(data)
    return data.reshape(*shape, *data.shape[1:])


def posterior_of(
    target: Target,
    values: Mapping[str, Any],
    result: RValue,
    n: int,
    shape: tuple[int, int],
    **about: Any,
) -> Posterior:
    """Values that vary along an axis of n lanes (`Steps` of loops among them) as a posterior of
    shape (chain, draw)."""
    reshape = partial(_led_by, shape)
    host = Host(target.program, particles(n), reshape, default_precision())
    draws = {k: reshape(v.data) for k, v in by_name(values).items()}
    return Posterior(
        draws=drawn(target.holes, draws) if target.holes else draws,
        result=host.to_python(result),
        remarks=target.warnings,
        target=target.itself,
        **about,
    )


def whole_run(result: RValue, state: State) -> RValue:
    """The names, the result and the faults of a run."""
    return named(state), result, state.faults


def stream_positions(
    target: Target,
    draws: Draws,
    path: Path,
    *,
    seed: int,
    free: SiteRule = CENTRED,
    **about: Any,
) -> Posterior:
    """The same for draws that are on disk, a block after the other into a file."""
    records = draws.records
    assert records is not None
    n = records.shape[0] * records.shape[1]
    block = min(BLOCK, n)
    run = recovering(target.bound, target.data, n, seed=seed, observe=whole_run, free=free)
    with Stream(path, records.shape) as out:
        for k, start in enumerate(range(0, n, block)):
            count = min(block, n - start)
            position, stats = records.rows(start, count)
            values, result, faults = joined([run(k, padded(position, 0, block))], count)
            raise_faults(faults)
            part = {name: x[None] for name, x in stats.items()}
            one = posterior_of(
                target, values, result, count, (1, count), stats=part, seed=seed, **about
            )
            out.add(one, start)
        out.finish(one)
    return replace(streamed(path), target=target.itself, remarks=target.warnings)


def from_positions(
    target: Target,
    draws: Draws,
    *,
    seed: int,
    free: SiteRule = CENTRED,
    lp: float | None = None,
    **about: Any,
) -> Posterior:
    """Run the program at every draw: named values, the result, summed sites drawn back."""
    first = next(iter(draws.position.values()), None)
    shape = (1, 1) if first is None else first.shape[:2]
    n = shape[0] * shape[1]
    flat = {k: np.reshape(v, (n, *np.shape(v)[2:])) for k, v in draws.position.items()}
    values, result, faults = recover(
        target.bound, target.data, flat, n, seed=seed, observe=whole_run, free=free
    )
    raise_faults(faults)
    stats = dict(draws.stats)
    if lp is not None:
        stats["lp"] = np.full(shape, lp)
    return posterior_of(target, values, result, n, shape, stats=stats, seed=seed, **about)
