"""Populations that go from the prior to the posterior by temperatures: how they run.

All replicas, and a pilot run before them if there is one, are one compiled loop; data are its
argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.annealing import Annealed, Annealing, Bridge, anneal, blank_plan
from ppl.inference.checkpoint import Checkpoint
from ppl.inference.cut import Cuts
from ppl.inference.population import relative_error
from ppl.inference.schedule import Progress
from ppl.inference.tempered import ROOM, Ais, Settings, ladder_of
from ppl.semantics import keys
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import Diagnostic, fail
from ppl.semantics.omega import Key
from ppl.semantics.processes import fetched
from ppl.semantics.xla.sharing import mesh_for, share, whole

#: a smaller share of particles that move at a temperature is worth a warning
MOVED = 0.2


@dataclass(frozen=True)
class Tempered:
    """Populations that have reached temperature 1.

    `position` by site, in free coordinates, with leading axes (replica, particle); `log_weights`
    (replica, particle), the sums of whose exponentials estimate the evidence. `history`, by name
    (replica, step): temperature, effective_sample_size, resampled, acceptance_rate, moves, moved;
    NaN beyond a replica's last step. `full`: whether one had no room for the temperatures it
    wanted. `independent`: the particles of a replica are independent of each other.
    """

    position: Mapping[str, np.ndarray]
    log_weights: np.ndarray
    history: Mapping[str, np.ndarray]
    full: bool
    independent: bool

    @property
    def masses(self) -> np.ndarray:
        """The estimate of the log evidence of each replica."""
        return np.logaddexp.reduce(self.log_weights, axis=1)

    @property
    def log_evidence(self) -> float:
        """The logarithm of the mean of the replicas' estimates."""
        return float(np.logaddexp.reduce(self.masses) - np.log(len(self.masses)))

    @property
    def log_evidence_se(self) -> float | None:
        """Its standard error by the delta method, from independent replicas or particles; None if
        there is only one."""
        parts = np.ravel(self.log_weights) if self.independent else self.masses
        return relative_error(parts) if len(parts) > 1 else None


def doubts(found: Tempered) -> Iterator[Diagnostic]:
    """What the populations have to warn of."""
    if found.full:
        yield Diagnostic(
            "W899",
            f"{ROOM} temperatures were not enough: the last step was a long one",
            hint="lower `threshold`, or give a prior that is closer to the data",
        )
    moved, temperature = found.history["moved"], found.history["temperature"]
    if moved.size and np.nanmin(moved) < MOVED:
        worst = np.unravel_index(np.nanargmin(moved), moved.shape)
        yield Diagnostic(
            "W898",
            f"only {moved[worst]:.0%} of the particles moved at temperature "
            f"{temperature[worst]:.3g}",
            hint="take more `moves`, another `kernel`, or standardised coordinates: `noncenter`",
        )


def run_tempered(
    density: Density,
    data: Any,
    settings: Settings,
    *,
    seed: int,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Tempered:
    """The populations, one after the other; with a `checkpoint` they go on at the temperature where
    they were when an earlier process was killed.

    Raises E801 if a site has no sampler, E814 if none is continuous, E898 if the checkpoint is of
    another run.
    """
    if density.size == 0:
        raise fail(
            "E814",
            "there is no continuous site for particles to move in",
            hint="a finite program is solved exactly by the method `exact`",
        )
    saved = checkpoint and checkpoint.begin(precision=str(jnp.result_type(float)))
    words, populations, plan = keys.seed_words(seed), [], None
    if settings.pilot:
        plan = jax.tree.map(
            lambda x: np.zeros(x.shape, x.dtype),
            jax.eval_shape(lambda: blank_plan(*_how(density, data, settings, words))),
        )
    count = settings.replicas + settings.pilot
    for r in range(count):
        arguments = data, words, r, plan
        watch = None if progress is None else partial(_tell, progress, settings, r, count)
        run = _compiled(density, settings)(*arguments)
        place = saved and saved.part(("population", r))
        one = jax.device_get(fetched(run(*arguments, checkpoint=place, watch=watch)))
        if settings.pilot and r == 0:
            plan = one.controls
            continue
        populations.append(one._replace(controls=one.controls._replace(tuning=None)))
    found = jax.tree.map(lambda *x: np.stack(x), *populations)
    steps = int(found.taken.max())
    beyond = np.arange(steps) >= found.taken[:, None]

    def column(values: np.ndarray) -> np.ndarray:
        return np.where(beyond, np.nan, values[:, :steps])

    history = {
        "temperature": found.controls.temperature,
        "effective_sample_size": found.reports.effective_size,
        "resampled": found.reports.resampled,
        "acceptance_rate": found.reports.acceptance,
        "moves": found.controls.moves,
        "moved": found.reports.moved,
    }
    return Tempered(
        density.unflatten(found.x),
        found.log_weights,
        {name: column(values) for name, values in history.items()},
        ladder_of(settings.temperatures) is None and steps == ROOM,
        isinstance(settings, Ais),
    )


def bridge_of(density: Density, data: Any) -> Bridge:
    """The measures between prior and posterior, on flat positions (n, size)."""
    assert density.tempered is not None and density.starts is not None
    tempered, starts = density.tempered, density.starts

    def start(omega: Any, n: int) -> Any:
        omega, position, log_weights = starts(data, omega, n)
        return omega, density.flatten(position), log_weights

    def log_density(x: Any, t: Any) -> Any:
        mesh = mesh_for(x.shape[0])  # what is not here is the same on every device
        rows = share(whole(x, mesh), mesh)
        return whole(jax.vmap(lambda z: tempered(data, density.unflatten(z), t))(rows), mesh)

    return Bridge(start, log_density, not density.summed)


def _how(density: Density, data: Any, settings: Settings, words: Any) -> tuple[Annealing, Key]:
    """How populations are made, and their source of randomness."""
    how = settings.annealing(bridge_of(density, data), density.size)
    return how, Key(keys.wrap(words))


@lru_cache(maxsize=64)
def _compiled(density: Density, settings: Settings) -> Cuts:
    """(data, seed, number of the population, plan) to the population, cut at its temperatures. With
    a pilot, number 0, which makes the plan, the others keep to it."""

    def run(data: Any, words: Any, r: Any, plan: Any) -> Annealed:
        how, omega = _how(density, data, settings, words)
        return anneal(how, omega.enter(r), plan, keep=r > 0)[1]

    return Cuts(run, whiles=True)


def _tell(
    progress: Progress, settings: Settings, r: int, count: int, _: int, __: Any, last: Annealed
) -> None:
    """How far a population is: its temperature, effective sample size, acceptance."""
    k = int(last.taken) - 1
    if k < 0:
        return
    t = float(last.controls.temperature[k])
    told = {
        "phase": "pilot" if settings.pilot and r == 0 else f"population {r + 1 - settings.pilot}",
        "temperature": f"{t:.3g}",
        "ESS": f"{float(last.reports.effective_size[k]):.0f} of {settings.particles}",
        "acceptance": f"{float(last.reports.acceptance[k]):.2f}",
    }
    progress(int(100 * (r + t)), 100 * count, told)
