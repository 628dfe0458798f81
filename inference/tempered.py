"""Methods that go from the prior to the posterior by temperatures: settings, and how they run.

At temperature t the measure is the prior times the t-th power of the likelihood, in the free
coordinates of a density. All replicas, and a pilot run before them if there is one, are one
compiled loop; data are its argument.
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
from ppl.inference.movers import MoverName, mover_named
from ppl.inference.population import relative_error
from ppl.inference.rejuvenate import Moves, resample_move, waste_free
from ppl.inference.resample import SCHEMES, Resample, SchemeName
from ppl.inference.schedule import Progress
from ppl.inference.settings import check_types
from ppl.semantics import keys
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import Diagnostic, fail
from ppl.semantics.omega import Key
from ppl.semantics.precision import Precision
from ppl.semantics.processes import fetched
from ppl.semantics.xla.sharing import mesh_for, share, whole

#: temperatures of a run that chooses them itself, at most
ROOM = 250
#: a ladder of K steps has its k-th temperature at (k / K) to this power: most of them are small
POWER = 4


@dataclass(frozen=True, kw_only=True)
class TemperedSmc:
    """Settings of sequential Monte Carlo over temperatures.

    Each of `replicas` populations of `particles` is reweighted, resampled by `scheme` and moved by
    `kernel` at temperatures that leave `threshold` of the effective sample size. `moves` is their
    number at each, or "auto": until positions have lost most of their correlation with where they
    began. `temperatures` gives a ladder instead (ending at 1), or its number of steps; then
    `threshold` says when to resample.

    Contract: `ProperlyWeighted` with a `pilot`, a population of its own that chooses temperatures,
    moves, scales and covariances, to which the others keep. Without one each chooses its own, and
    the evidence has a bias of order coordinates / particles.
    """

    particles: int = 1000
    replicas: int = 4
    kernel: MoverName = "hmc"
    moves: Moves = "auto"
    threshold: float = 0.5
    temperatures: int | tuple[float, ...] | None = None
    scheme: SchemeName = "systematic"
    pilot: bool = True
    noncenter: tuple[str, ...] = ()
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        _hold(self)
        _check_counts(self, "particles", "replicas", least=1)
        if self.moves != "auto" and self.moves < 1:
            raise fail("E811", f"moves = {self.moves}: it must be at least 1, or auto")
        if self.scheme not in SCHEMES:
            raise fail("E811", f"scheme = {self.scheme}: it must be one of {', '.join(SCHEMES)}")
        _check_share("threshold", self.threshold)
        ladder_of(self.temperatures)

    def annealing(self, bridge: Bridge, dimensions: int) -> Annealing:
        """How a population of these settings is made."""
        ladder = ladder_of(self.temperatures)
        mover = mover_named(self.kernel, dimensions)
        resample = Resample(self.scheme, 1.0 if ladder is None else self.threshold)
        rejuvenate = resample_move(mover, resample, self.moves)
        return Annealing(
            bridge,
            rejuvenate,
            mover.tune,
            self.particles,
            ROOM if ladder is None else len(ladder),
            ladder,
            self.threshold,
        )


@dataclass(frozen=True, kw_only=True)
class Ais:
    """Settings of annealed importance sampling (Neal 2001).

    Every one of `particles` goes alone from the prior to the posterior, with `moves` moves of
    `kernel` at each of the `temperatures`: a ladder that ends at 1, or its number of steps, or
    None, so that each leaves `threshold` of the effective sample size. A pilot population, which is
    not resampled either, chooses scales of the kernel, and temperatures if they are not given.

    Contract: `ProperlyWeighted`, with independent particles.
    """

    particles: int = 1000
    temperatures: int | tuple[float, ...] | None = 100
    threshold: float = 0.95
    kernel: MoverName = "hmc"
    moves: int = 1
    noncenter: tuple[str, ...] = ()
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        _hold(self)
        _check_counts(self, "particles", "moves", least=1)
        _check_share("threshold", self.threshold)
        ladder_of(self.temperatures)

    @property
    def pilot(self) -> bool:
        return True

    @property
    def replicas(self) -> int:
        return 1

    def annealing(self, bridge: Bridge, dimensions: int) -> Annealing:
        """How a population of these settings is made."""
        ladder = ladder_of(self.temperatures)
        mover = mover_named(self.kernel, dimensions)
        return Annealing(
            bridge,
            resample_move(mover, Resample("systematic", 0.0), self.moves),
            mover.tune,
            self.particles,
            ROOM if ladder is None else len(ladder),
            ladder,
            self.threshold,
        )


@dataclass(frozen=True, kw_only=True)
class WasteFree:
    """Settings of waste-free sequential Monte Carlo over temperatures (Dau and Chopin 2022).

    As `TemperedSmc`, but at each temperature only `ancestors` particles are resampled, each begins
    a chain of moves, and all states of the chains are the next `particles`.

    Contract: as `TemperedSmc`.
    """

    particles: int = 10_000
    ancestors: int = 200
    replicas: int = 4
    kernel: MoverName = "random_walk"
    threshold: float = 0.5
    temperatures: int | tuple[float, ...] | None = None
    pilot: bool = True
    noncenter: tuple[str, ...] = ()
    precision: Precision | None = None

    def __post_init__(self) -> None:
        check_types(self)
        _hold(self)
        _check_counts(self, "particles", "ancestors", "replicas", least=1)
        if self.particles % self.ancestors or self.particles < 2 * self.ancestors:
            raise fail(
                "E811",
                f"particles = {self.particles}, ancestors = {self.ancestors}: chains of equal "
                "length, of two states at least, must make up the particles",
                hint=f"use particles = {self.ancestors * max(2, self.particles // self.ancestors)}",
            )
        _check_share("threshold", self.threshold)
        ladder_of(self.temperatures)

    def annealing(self, bridge: Bridge, dimensions: int) -> Annealing:
        """How a population of these settings is made."""
        ladder = ladder_of(self.temperatures)
        mover = mover_named(self.kernel, dimensions)
        return Annealing(
            bridge,
            waste_free(mover, self.ancestors),
            mover.tune,
            self.particles,
            ROOM if ladder is None else len(ladder),
            ladder,
            self.threshold,
        )


def _hold(settings: Any) -> None:
    """Lists and arrays among the settings as tuples, so that compiled programs are found again."""
    for name in ("noncenter", "temperatures"):
        value = getattr(settings, name)
        if isinstance(value, (list, np.ndarray)):
            object.__setattr__(settings, name, tuple(np.asarray(value).tolist()))


def _check_counts(settings: Any, *names: str, least: int) -> None:
    for name in names:
        value = getattr(settings, name)
        if value < least:
            raise fail("E811", f"{name} = {value}: it must be at least {least}")


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise fail("E811", f"{name} = {value}: it must be between 0 and 1")


def ladder_of(temperatures: int | tuple[float, ...] | None) -> np.ndarray | None:
    """The temperatures after 0, in order, the last of them 1; None where none are given.

    Raises:
        DiagnosticError: E811, they are something else.
    """
    if temperatures is None:
        return None
    if isinstance(temperatures, int) and not isinstance(temperatures, bool):
        if temperatures < 1:
            raise fail("E811", f"temperatures = {temperatures}: there must be at least 1")
        return (np.arange(1, temperatures + 1) / temperatures) ** POWER
    try:
        ladder = np.asarray(temperatures, float)
    except (TypeError, ValueError):
        ladder = np.zeros(0)
    steps = np.diff(ladder, prepend=0.0) if ladder.ndim == 1 else np.zeros(0)
    if not len(steps) or not np.all(steps > 0) or ladder[-1] != 1:
        raise fail(
            "E811",
            f"temperatures = {temperatures!r}: they must rise from above 0 and end with 1",
            hint="as in temperatures=(0.01, 0.1, 0.4, 1.0), or give their number",
        )
    return ladder


# ------------------------------------------------------------------------------------------ running


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


#: a smaller share of particles that move at a temperature is worth a warning
MOVED = 0.2


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


Settings = TemperedSmc | Ais | WasteFree


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
