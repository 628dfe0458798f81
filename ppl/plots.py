"""Posteriors in ArviZ's form, and the plots that come from it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ppl.inference.ancestry import survivors
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import fail
from ppl.storage import file_name
from ppl.trees import on_host

#: rows of a trace plot, so that it stays readable
ROWS = 12


def import_arviz() -> Any:
    """ArviZ, without its notice about its own next version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    return arviz


def to_arviz(posterior: Posterior, *, log_likelihood: bool = False):
    """`InferenceData` with the groups posterior and sample_stats, and log_likelihood if asked for.

    ArviZ knows no weights: weighted draws are resampled to as many equal ones (seed 0).
    """
    arviz = import_arviz()
    scores = posterior.log_likelihood() if log_likelihood else {}
    if posterior.log_weights is not None:
        n = int(np.prod(posterior.shape))
        chosen = posterior.chosen(n, seed=0)
        scores = {k: v[chosen][None] for k, v in scores.items()}
        posterior = posterior.resample(n, seed=0)
    taken: set[str] = set()
    draws = {file_name(name, taken): array for name, array in posterior.named.items()}
    stats = {name: on_host(array) for name, array in posterior.stats.items()}
    taken = set()
    scores = {file_name(name, taken): array for name, array in scores.items()}
    attributes = {"model": posterior.model, "method": posterior.method}
    return arviz.from_dict(
        posterior=draws,
        sample_stats=stats or None,
        log_likelihood=scores or None,
        attrs=attributes,
    )


def plot(posterior: Posterior, path: Path, names: list[str] | None) -> None:
    """One row a scalar, at most `ROWS` of them: its density and, for chains, its trace.

    Raises:
        DiagnosticError: E891, an unknown name; E894, the file cannot be written.
    """
    from matplotlib.figure import Figure

    if posterior.log_weights is not None:
        equal = posterior.resample(max(1_000, int(np.prod(posterior.shape))), seed=0)
    else:
        equal = posterior
    rows = _rows(equal, names)
    figure = Figure(figsize=(10, 1.8 * max(1, len(rows))), layout="constrained")
    traced = posterior.log_weights is None
    axes = figure.subplots(len(rows), 1 + traced, squeeze=False) if rows else []
    diverging = on_host(posterior.stats["diverging"]) if "diverging" in posterior.stats else None
    for (name, draws), row in zip(rows, axes, strict=True):
        _density(row[0], draws)
        row[0].set_title(name, fontsize="medium")
        if traced:
            _trace(row[1], draws, diverging)
            row[1].set_title(name, fontsize="medium")
    total = len(posterior.scalars[0])
    if names is None and total > len(rows):
        figure.suptitle(f"the first {len(rows)} of {total} scalars", fontsize="small")
    _write(figure, path)


def plot_points(posterior: Posterior, path: Path) -> None:
    """Particles at their points, or populations at their temperatures (a line each).

    Raises:
        DiagnosticError: E891, there are no points; E894, the file cannot be written.
    """
    from matplotlib.figure import Figure

    points = {k: np.atleast_2d(v) for k, v in posterior.points.items()}
    if "effective_sample_size" not in points:
        raise fail(
            "E891",
            f"`{posterior.method}` tells nothing of points",
            hint="smc, tempered_smc, waste_free and ais do, in the process that inferred",
        )
    named = {
        "effective_sample_size": "effective sample size (| resampled)",
        "lineages": "lineages that go on to the end",
        "log_evidence": "log evidence so far",
        "temperature": "temperature",
        "acceptance_rate": "acceptance rate",
    }
    shown = [k for k in named if k in points]
    figure = Figure(figsize=(8, 1.8 * len(shown)), layout="constrained")
    for name, (axes,) in zip(shown, figure.subplots(len(shown), 1, squeeze=False), strict=True):
        for row in points[name]:
            axes.plot(row, linewidth=0.8)
        if name == "effective_sample_size":
            axes.set_ylim(bottom=0)
            when = np.flatnonzero(np.nan_to_num(points["resampled"][0]))
            axes.plot(when, np.zeros(len(when)), "|", color="black", markersize=6)
        axes.set_title(named[name], fontsize="medium")
        axes.margins(x=0)
    _write(figure, path)


#: lines of a genealogy, above which only those of particles with descendants are drawn
LINES = 20_000


def plot_ancestry(posterior: Posterior, path: Path) -> None:
    """Particles from point to point: black if they have descendants in the end, grey if not.

    Raises:
        DiagnosticError: E891, it is not known; E894, the file cannot be written.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    links = posterior.points.get("ancestors")
    if links is None:
        raise fail(
            "E891",
            f"`{posterior.method}` tells nothing of ancestors",
            hint="particles do (smc, rmsmc, smc2), in the process that inferred; on XLA those that "
            "keep their history and were not extended, if points times particles are at most 2^20",
        )
    points, n = links.shape
    alive = np.vstack([survivors(links), np.ones(n, bool)])
    t, child = np.divmod(np.arange(points * n), n)
    parent, lives = links[t, child], alive[t + 1, child]
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    for kept, colour in ((~lives, "0.8"), (lives, "black")):
        if colour != "black" and points * n > LINES:
            continue
        ends = np.stack([t, parent, t + 1, child], axis=-1)[kept].reshape(-1, 2, 2)
        axes.add_collection(LineCollection(list(ends), colors=colour, linewidths=0.5))
    axes.set(xlim=(0, points), ylim=(-1, n), xlabel="point", ylabel="particle")
    axes.set_title(f"{alive[0].sum()} of {n} at the first point have descendants")
    _write(figure, path)


def _write(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise fail("E894", f"the plot {path} cannot be written: {error}") from error


def _rows(posterior: Posterior, names: list[str] | None) -> list[tuple[str, np.ndarray]]:
    known, draws = posterior.scalars
    if names is None:
        return [(known[i], draws[:, :, i]) for i in range(min(ROWS, len(known)))]
    chosen = []
    for name in names:
        posterior[name]  # an unknown name is an error
        site, bracket, index = name.partition("[")
        name = posterior.twins.get(site, site) + bracket + index
        members = [i for i, k in enumerate(known) if k == name or k.startswith(f"{name}[")]
        chosen += [(known[i], draws[:, :, i]) for i in members]
    return chosen[: 10 * ROWS]


def _density(axes: Any, draws: np.ndarray) -> None:
    """A kernel density a chain; bars where there are few distinct values."""
    arviz = import_arviz()
    for chain in draws:
        x = chain[np.isfinite(chain)]
        values, counts = np.unique(x, return_counts=True)
        if len(values) < 20:
            axes.vlines(values, 0, counts / max(1, len(x)), alpha=0.6, linewidth=3)
        else:
            grid, density = arviz.kde(x)
            axes.plot(grid, density, linewidth=1)
    axes.set_yticks([])


def _trace(axes: Any, draws: np.ndarray, diverging: np.ndarray | None) -> None:
    for chain in draws:
        axes.plot(chain, linewidth=0.4, alpha=0.8)
    if diverging is not None and diverging.any():
        where = np.flatnonzero(diverging.any(axis=0))
        axes.plot(where, np.full(len(where), np.nanmin(draws)), "|", color="black", markersize=6)
    axes.margins(x=0)
