"""The posterior as a table of numbers: one row a scalar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.posterior import Posterior
from ppl.semantics.diagnostics import fail, suggest
from ppl.trees import same

#: rows that are printed; the others can be asked for by name
SHOWN = 60


@dataclass(frozen=True, eq=False)
class Summary:
    """Columns of equal length over named rows, and lines to read under them."""

    names: tuple[str, ...]
    columns: Mapping[str, np.ndarray]
    footer: tuple[str, ...] = ()
    #: sites that are shown under another name
    twins: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str | tuple[str, str]) -> Any:
        """`summary["mu", "mean"]` is a number, `summary["mu"]` a dict of the row's numbers."""
        name, column = key if isinstance(key, tuple) else (key, None)
        site, bracket, index = name.partition("[")
        name = self.twins.get(site, site) + bracket + index
        if name not in self._rows:
            raise fail("E891", f"the summary has no row `{name}`", hint=suggest(name, self.names))
        if column is None:
            return {c: float(v[self._rows[name]]) for c, v in self.columns.items()}
        if column not in self.columns:
            known = ", ".join(self.columns)
            raise fail("E891", f"the summary has no column `{column}` (it has: {known})")
        return float(self.columns[column][self._rows[name]])

    @property
    def _rows(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def to_pandas(self):
        """As a pandas data frame, indexed by name."""
        import pandas

        return pandas.DataFrame(dict(self.columns), index=list(self.names))

    def __str__(self) -> str:
        shown = range(min(len(self.names), SHOWN))
        rows = [[self.names[i], *self._cells(i)] for i in shown]
        table = [["", *self.columns], *rows]
        widths = [max(len(row[c]) for row in table) for c in range(len(table[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in table
        ]
        if len(self.names) > SHOWN:
            lines.append(f"… and {len(self.names) - SHOWN} more rows")
        return "\n".join([*lines, "", *self.footer])

    __repr__ = __str__

    def _cells(self, row: int) -> list[str]:
        """Means and quantiles to a hundredth of the sd, so that no digit shown is noise."""
        sd = float(self.columns["sd"][row])
        digits = 2 if not np.isfinite(sd) or sd == 0 else max(0, 2 - int(np.floor(np.log10(sd))))
        cells = []
        for name, column in self.columns.items():
            value = float(column[row])
            if not np.isfinite(value):
                cells.append("-" if np.isnan(value) else f"{value}")
            elif name.startswith("ess"):
                cells.append(f"{value:.0f}")
            elif name == "r_hat":
                cells.append(f"{value:.3f}")
            else:
                cells.append(f"{value:.{digits}f}" if digits <= 8 else f"{value:.3g}")
        return cells


def summarise(posterior: Posterior) -> Summary:
    names, draws = posterior.scalars
    if posterior.log_weights is None:
        columns = _equal(draws)
        columns |= posterior.convergence._asdict()
    else:
        columns = _weighted(draws, posterior.weights)
    return Summary(names, columns, tuple(_footer(posterior)), posterior.twins)


def scalars(posterior: Posterior) -> tuple[tuple[str, ...], np.ndarray]:
    """Every numeric scalar: its name, and its draws as (chain, draw, scalar) in float64. Twins are
    left out.

    Elements of an array that are missing in all draws, while others are not, are data: left out.
    """
    names: list[str] = []
    parts: list[np.ndarray] = []
    for site, array in posterior.named.items():
        if array.dtype.kind not in "biuf" or site in posterior.twins:
            continue
        draws = array.reshape(*array.shape[:2], -1).astype(np.float64)
        drawn = np.any(~np.isnan(draws), axis=(0, 1))
        shown = drawn if drawn.any() else np.ones_like(drawn)
        known = element_names(site, array.shape[2:])
        names += [known[i] for i in np.flatnonzero(shown)]
        parts.append(draws[..., shown])
    joined = np.concatenate(parts, axis=-1) if parts else np.empty((*posterior.shape, 0))
    return tuple(names), joined


def twins(named: Mapping[str, np.ndarray]) -> dict[str, str]:
    """The sites whose values are those of a name that they are inside of, and the outermost such
    name."""
    found = {}
    for site, array in named.items():
        steps = site.split("/")
        around = ("/".join(steps[:k]) for k in range(1, len(steps)))
        outer = next((n for n in around if n in named and same(named[n], array)), None)
        if outer is not None:
            found[site] = outer
    return found


def element_names(site: str, shape: tuple[int, ...]) -> list[str]:
    if not shape:
        return [site]
    return [f"{site}[{', '.join(map(str, index))}]" for index in np.ndindex(*shape)]


def _flat(draws: np.ndarray) -> np.ndarray:
    chains, length, scalars = draws.shape
    return draws.reshape(chains * length, scalars)


def _equal(draws: np.ndarray) -> dict[str, np.ndarray]:
    flat = _flat(draws)
    if not np.isnan(flat).any():
        low, high = np.quantile(flat, (0.05, 0.95), axis=0)
        spread = flat.std(axis=0, ddof=1) if len(flat) > 1 else np.full(flat.shape[1], np.nan)
        return {"mean": flat.mean(axis=0), "sd": spread, "5%": low, "95%": high}
    return _weighted(draws, np.full(draws.shape[:2], 1 / len(flat)))


def _weighted(draws: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Over the draws that are there; quantiles invert the weighted distribution function."""
    flat, w = (
        draws.reshape(draws.shape[0] * draws.shape[1], draws.shape[2]),
        weights.ravel()[:, None],
    )
    there = ~np.isnan(flat) & (w > 0)
    mass = np.where(there, w, 0.0)
    total = mass.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mass = mass / total
        values = np.where(there, flat, 0.0)
        mean = np.where(total > 0, (mass * values).sum(axis=0), np.nan)
        sd = np.sqrt((mass * (values - mean) ** 2).sum(axis=0))
    order = np.argsort(np.where(there, flat, np.inf), axis=0, kind="stable")
    ranked = np.take_along_axis(flat, order, axis=0)
    cumulative = np.cumsum(np.take_along_axis(mass, order, axis=0), axis=0)

    def quantile(p: float) -> np.ndarray:
        at = np.argmax(cumulative >= p * (1 - 1e-12), axis=0)
        return np.where(total > 0, np.take_along_axis(ranked, at[None], axis=0)[0], np.nan)

    return {"mean": mean, "sd": sd, "5%": quantile(0.05), "95%": quantile(0.95)}


def _footer(posterior: Posterior) -> Iterator[str]:
    chains, length = posterior.shape
    if posterior.exact:
        yield f"exact: all {chains * length} values of the posterior"
    elif posterior.log_weights is not None:
        size = posterior.effective_sample_size
        yield f"{chains * length} weighted draws, effective sample size {size:.1f}"
    else:
        yield f"{chains} chain{'s' * (chains != 1)} of {length} draws"
    if posterior.evidence is not None:
        error = posterior.evidence_se
        yield f"log evidence {posterior.evidence:.4f}" + (
            "" if error is None else f" (se {error:.4f})"
        )
    if "diverging" in posterior.stats:
        yield f"divergences: {int(np.sum(np.asarray(posterior.stats['diverging'])))}"
    for warning in posterior.warnings:
        yield f"warning[{warning.code}]: {warning.message}"
        if warning.hint:
            yield f"  hint: {warning.hint}"
