"""The calibration level: a method on a user's own model, whose posterior nobody knows.

Parameters are drawn from the prior, and data by them; given the data, the method draws parameters
again. If it is right, the first are one more draw from the same posterior: any function of
parameters and data has an even rank (Talts et al., "Validating Bayesian inference algorithms with
simulation-based calibration", 2018). The functions are every parameter; random combinations of
them, and the likelihood of the data, without which a method that ignores the data would pass
(Modrák et al., "Simulation-based calibration checking for Bayesian computation: the choice of test
quantities shapes sensitivity", 2023); and the distance to a point drawn from the prior (TARP: Lemos
et al., "Sampling-based accuracy testing of posterior estimators for general inference", 2023).

The ranks are watched by e-processes, so that a method that is wrong is found after few simulations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import ppl
from ppl.methods import as_method
from ppl.posterior import Posterior
from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.ir_map import nodes
from ppl.target import Target, checked_target
from ppl.verify.checking import judged
from ppl.verify.contracts import Calibrated
from ppl.verify.ranks import even, pattern, rank
from ppl.verify.sequential import Decision, Plan, decide, seed_of
from ppl.verify.verdict import Report, Verdict

#: numbers of which each has ranks of its own; more are seen through combinations
SCALARS = 16
#: random combinations of all numbers
DIRECTIONS = 2
#: draws from the prior, by which numbers are scaled
SCALING = 256
#: simulations before the e-processes are looked at for the first time
FIRST = 16
LIKELIHOOD, TARP = "log likelihood", "distance to a random point (TARP)"

Quantity = Callable[[Mapping[str, Any], Mapping[str, Any]], float]


@dataclass(frozen=True)
class Calibration:
    """ranks: by quantity, each (simulations,), from 0 to `draws`, of the stream that decided."""

    verdict: Verdict
    ranks: Mapping[str, np.ndarray]
    draws: int

    @property
    def ok(self) -> bool:
        return self.verdict.ok

    def assert_ok(self) -> None:
        """As `Verdict.assert_ok`."""
        self.verdict.assert_ok()

    def figure(self) -> Any:
        """Of every quantity, how far its ranks are from even, with a band that even ones leave in
        one of twenty figures; and the TARP curve."""
        from ppl.verify.calibration_plots import figure

        return figure(self)

    def plot(self, path: str | Path) -> None:
        """The figure, in a file. Raises E894 if it cannot be written."""
        try:
            self.figure().savefig(path, dpi=120)
        except (OSError, ValueError) as error:
            raise fail("E894", f"the plot {path} cannot be written: {error}") from error

    def __str__(self) -> str:
        return str(self.verdict)


def calibrate(
    target: Target,
    method: Any = None,
    *,
    simulations: int = 200,
    draws: int = 63,
    quantities: Mapping[str, Quantity] | None = None,
    alpha: float = 1e-2,
    engine: str = "auto",
    epoch: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Test a method on a model, by data that the model makes.

    target: the model applied to data of the sizes that matter; the values of what it observes are
    replaced by simulated ones. method: as for `ppl.infer`, or a function of a target and a seed
    that gives a `Posterior`. draws: of each posterior, equally spaced, so that draws of chains are
    nearly independent; chains need some times as many. quantities: more functions to rank by, of
    the named values of one draw and the data. simulations: at most so many; a failure takes fewer,
    and is confirmed by others. alpha: its square is the probability at most with which a method
    that is right fails. Data of one shape compile once.

    Raises:
        DiagnosticError: E749, the model does not make its data; what is wrong with the method, or
            with its run on some of the data.
    """
    target = checked_target("calibrate", target)
    if not callable(method):
        method = as_method(method)
    plan = Plan(alpha=alpha, trials=simulations, epoch=epoch)
    if draws < 1:
        raise fail("E746", f"draws = {draws}: there must be at least 1")
    source = target.model._compiled.function(target.model.name).span.source.text
    seed = seed_of(source, target.values, repr(method))
    simulate = _Simulation(
        target, method, draws, quantities or {}, engine, _scaling(target, seed), seed
    )
    streams: list[dict[str, int]] = []

    def trial(s: int) -> dict[str, int]:
        streams.append(simulate(s))
        if progress is not None:
            progress(len(streams), simulations)
        return streams[-1]

    first = simulate(seed_of(seed, "pilot"))
    statistics = [even(k, draws, lambda t, k=k: t[k]) for k in first]
    decision = decide(trial, statistics, plan, seed, first=FIRST)
    ranks = {k: np.array([t[k] for t in streams[-_last(decision, simulations) :]]) for k in first}
    notes = () if LIKELIHOOD in first else ("the likelihood, which cannot be computed",)
    report = Report(
        "calibration", trials=decision.trials, compared=len(first), alpha=alpha**2,
        not_covered=(*notes, "errors that show on data of other sizes"),
    )  # fmt: skip
    verdict = judged(decision, Calibrated(), report, source.strip("\n"))
    if decision.worst is not None:
        name = decision.worst.at.split(": rank")[0]
        verdict = replace(verdict, why=f"{verdict.why}: `{name}`" + _shape(ranks[name], draws))
    return Calibration(verdict, ranks, draws)


def _last(decision: Decision, simulations: int) -> int:
    """How many simulations the stream that decided has had, which may be more than it needed: it
    is looked at after each doubling."""
    if decision.kept is not False:
        return simulations
    made = min(FIRST, simulations)
    while made < decision.trials:
        made = min(2 * made, simulations)
    return made


def _shape(ranks: Any, draws: int) -> str:
    return f", {found}" if (found := pattern(ranks, draws)) else ""


def makes_its_data(target: Target) -> None:
    """Raise E749 unless a model draws all data that it conditions on."""
    names, seen = {p.name for p in target.model.parameters}, set()
    for function in target.program.functions:
        for node in nodes(function.body):
            if isinstance(node, ir.Score):
                raise not_made("it scores by a `factor` or a `condition`")
            if isinstance(node, ir.Observe):
                seen.add(node.name)
    if not seen:
        raise not_made("it observes nothing")
    if unknown := seen - names:
        raise not_made(f"it observes `{min(unknown)}`, which is no data parameter")
    if target.holes:
        raise not_made("values are missing in its data")


def not_made(why: str) -> DiagnosticError:
    return fail(
        "E749",
        f"the calibration of this model cannot be tested: {why}",
        hint="write it as a model that draws its parameters, and observes its data by name",
    )


def _scaling(target: Target, seed: int) -> tuple[Posterior, dict[str, tuple[Any, Any]]]:
    """Draws from the prior, and the median and the standard deviation of each parameter's."""
    makes_its_data(target)
    names = {p.name for p in target.model.parameters}
    prior = ppl.prior(target, draws=SCALING, seed=_word(seed))
    scales = {}
    for name, values in prior.named.items():
        if name not in names and values.dtype.kind in "biuf":
            flat = values[0].astype(float)
            sd = np.nanstd(flat, 0) if np.isfinite(flat).any() else np.ones(flat.shape[1:])
            scales[name] = (np.nanmedian(flat, 0), np.where(sd > 0, sd, 1.0))
    if not scales:
        raise not_made("it draws no numbers")
    return prior, scales


@dataclass(frozen=True)
class _Simulation:
    """A simulation from its seed: ranks by quantity."""

    target: Target
    method: Any
    draws: int
    quantities: Mapping[str, Quantity]
    engine: str
    scaling: tuple[Posterior, dict[str, tuple[Any, Any]]]
    seed: int

    def __call__(self, seed: int) -> dict[str, int]:
        rng = np.random.default_rng(seed_of(seed, "ties"))
        made = ppl.prior(self.target, draws=1, seed=_word(seed_of(seed, "prior")))
        target = self.observing(made)
        posterior = self.infer(target, _word(seed_of(seed, "method")))
        chosen = self.chosen(posterior, rng)
        names = [k for k in self.scaling[1] if k in posterior.named and k in made.named]
        together = {
            k: np.concatenate([made.named[k][0, :1], posterior.named[k].reshape(
                -1, *posterior.named[k].shape[2:])[chosen]])
            for k in names
            if posterior.named[k].shape[2:] == made.named[k].shape[2:]
        }  # fmt: skip
        found = self.numbers(together, target, rng)
        return {k: rank(v[0], v[1:], rng) for k, v in found.items()}

    def observing(self, made: Posterior) -> Target:
        """The target with what was drawn as its data."""
        values = dict(self.target.values)
        for p in self.target.model.parameters:
            if p.name in made.named:
                old, new = np.asarray(values[p.name]), made.named[p.name][0, 0]
                if np.shape(new) != old.shape:
                    raise not_made(f"only a part of `{p.name}` is observed")
                values[p.name] = np.asarray(new).astype(old.dtype)
        bound = self.target.model(**values)
        return replace(bound, settings=self.target.settings)

    def infer(self, target: Target, seed: int) -> Posterior:
        if callable(self.method):
            return self.method(target, seed)
        return ppl.infer(target, self.method, seed=seed, progress=False, engine=self.engine)

    def chosen(self, posterior: Posterior, rng: Any) -> Any:
        """Which draws are ranked: by weight, or equally spaced."""
        total = int(np.prod(posterior.shape))
        if posterior.log_weights is not None:
            return rng.choice(total, size=self.draws, p=posterior.weights.ravel())
        if total < self.draws:
            raise fail(
                "E746",
                f"the method gives {total} draws, and {self.draws} are to be ranked",
                hint=f"calibrate(…, draws={total})",
            )
        return np.linspace(0, total - 1, self.draws).round().astype(int)

    def numbers(self, values: Mapping[str, Any], target: Target, rng: Any) -> dict[str, Any]:
        """Quantities of the parameters (first) and of the draws, each (1 + draws,)."""
        out: dict[str, Any] = {}
        scaled = []
        for name, x in values.items():
            centre, scale = self.scaling[1][name]
            flat = np.reshape((x - centre) / scale, (len(x), -1))
            scaled.append(flat)
            labels = [name]
            if x.ndim > 1:
                labels = [f"{name}[{','.join(map(str, i))}]" for i in np.ndindex(*x.shape[1:])]
            columns = np.reshape(x, (len(x), -1)).T
            for label, column in zip(labels, columns, strict=True):
                if len(out) < SCALARS and not np.isnan(column).any():
                    out[label] = column
        whole = np.nan_to_num(np.concatenate(scaled, 1))
        if whole.shape[1] > 1:
            along = np.random.default_rng(self.seed % 2**32).normal(
                size=(DIRECTIONS, whole.shape[1])
            )
            out |= {f"combination {i + 1}": whole @ a for i, a in enumerate(along)}
        point = self.point(values, rng)
        out[TARP] = np.sum((whole - point) ** 2, 1)
        likelihood = self.likelihood(values, target)
        if likelihood is not None:
            out[LIKELIHOOD] = likelihood
        for name, quantity in self.quantities.items():
            rows = ({k: v[i] for k, v in values.items()} for i in range(self.draws + 1))
            out[name] = np.array([float(quantity(row, target.values)) for row in rows])
        return out

    def point(self, values: Mapping[str, Any], rng: Any) -> Any:
        """A draw from the prior, scaled, that has nothing to do with the parameters."""
        prior, scales = self.scaling
        i, parts = rng.integers(SCALING), []
        for name in values:
            centre, scale = scales[name]
            parts.append(np.ravel((prior.named[name][0, i] - centre) / scale))
        return np.nan_to_num(np.concatenate(parts))

    def likelihood(self, values: Mapping[str, Any], target: Target) -> Any:
        """The log probability of all the data, by each row's parameters; None if a program cannot
        be run again from their names."""
        from ppl.likelihood import log_likelihood  # imports JAX

        draws = {k: v[None] for k, v in values.items()}
        try:
            scores = log_likelihood(Posterior(draws=draws, target=target), target)
        except DiagnosticError:
            return None
        return sum(np.sum(s[0], axis=tuple(range(1, s[0].ndim))) for s in scores.values())


def _word(seed: int) -> int:
    """A seed that methods take."""
    return seed >> 1
