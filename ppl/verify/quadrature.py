"""Integrals in one and two dimensions, with an estimate of their error.

Double-exponential quadrature: x = φ(t) for a φ whose derivative falls off so fast at both ends that
the trapezoidal rule on t converges exponentially, whatever the integrand's own tails or its poles
at the ends are. Takahasi and Mori, "Double exponential formulas for numerical integration" (1974).
The error is estimated, from above for whatever is smooth, by leaving out every other node, and by
what the outermost nodes still give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: t goes from -REACH to REACH, in so many steps by the number of dimensions
REACH, STEPS = 4.0, {1: 1024, 2: 256}


@dataclass(frozen=True)
class Range:
    """The numbers between two bounds, either of which may be infinite; most of the mass is around
    `centre`, as far away as `scale`."""

    low: float = -math.inf
    high: float = math.inf
    centre: float = 0.0
    scale: float = 1.0

    def nodes(self, steps: int) -> tuple[Any, Any]:
        """Nodes (steps + 1,) and the logarithms of their weights."""
        t = np.linspace(-REACH, REACH, steps + 1)
        s, ds = np.pi / 2 * np.sinh(t), np.pi / 2 * np.cosh(t)
        if math.isfinite(self.low) and math.isfinite(self.high):
            half = (self.high - self.low) / 2
            # 1 - |tanh s|, without cancellation
            rest = 2 / (1 + np.exp(np.minimum(2 * np.abs(s), 700)))
            x = np.where(s < 0, self.low + half * rest, self.high - half * rest)
            log_dx = np.log(half) - 2 * (np.abs(s) + np.log1p(np.exp(-2 * np.abs(s))) - np.log(2))
        elif math.isfinite(self.low) or math.isfinite(self.high):
            sign, end = (1, self.low) if math.isfinite(self.low) else (-1, self.high)
            x = end + sign * self.scale * np.exp(s)
            log_dx = np.log(self.scale) + s
        else:
            x = self.centre + self.scale * np.sinh(s)
            log_dx = np.log(self.scale) + np.logaddexp(s, -s) - np.log(2)
        inside = (x > self.low) & (x < self.high) & np.isfinite(x)
        log_w = np.where(inside, log_dx + np.log(ds) + np.log(t[1] - t[0]), -np.inf)
        middle = x[len(x) // 2]
        return np.where(inside, x, middle), log_w


@dataclass(frozen=True)
class Integral:
    """The logarithm of an integral, and the estimated error, as a share of it."""

    log: float
    error: float


def integral(log_f: Callable[[Any], Any], ranges: Sequence[Range]) -> Integral:
    """∫ exp(log_f(x)) dx over a box of one or two dimensions.

    log_f: points (n, d) to (n,).
    """
    (found,) = integrals(lambda x: (log_f(x), np.ones((1, len(x)))), ranges)
    return found


def integrals(f: Callable[[Any], tuple[Any, Any]], ranges: Sequence[Range]) -> tuple[Integral, ...]:
    """∫ exp(log_f(x)) g_i(x) dx for some nonnegative g_i; f: points (n, d) to log_f (n,) and g
    (i, n)."""
    points, log_w, place = _grid(ranges)
    ends = np.any((place == 0) | (place == place.max(-1, keepdims=True)), 0)
    coarse = np.all(place % 2 == 0, 0)
    log_f, g = (np.asarray(v, float) for v in f(points))
    log_f = np.where(np.isnan(log_f) | (log_w == -np.inf), -np.inf, log_f) + log_w
    top = np.max(log_f)
    if not np.isfinite(top):
        return tuple(Integral(float(top), 0.0) for _ in g)
    mass = np.exp(log_f - top)
    each = np.where(mass > 0, mass * g, 0.0)
    whole, part = each.sum(-1), each[:, coarse].sum(-1) * 2 ** len(ranges)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs, errors = top + np.log(whole), np.abs(part / whole - 1) + each[:, ends].sum(-1) / whole
    found = zip(logs, np.nan_to_num(errors, nan=0.0, posinf=1.0), strict=True)
    return tuple(Integral(float(a), float(b)) for a, b in found)


def _grid(ranges: Sequence[Range]) -> tuple[Any, Any, Any]:
    """Points (n, d), the logarithms of their weights (n,), and their places on the axes (d, n)."""
    axes = [r.nodes(STEPS[len(ranges)]) for r in ranges]
    place = np.indices([len(x) for x, _ in axes]).reshape(len(axes), -1)
    points = np.stack([x[i] for (x, _), i in zip(axes, place, strict=True)], -1)
    return points, sum(w[i] for (_, w), i in zip(axes, place, strict=True)), place


def located(log_f: Callable[[Any], Any], dimensions: int, rounds: int = 4) -> tuple[Range, ...]:
    """Where the mass of a density on the whole of R^d is: its mean and standard deviation, by
    quadrature that is centred where the last was found."""
    ranges = tuple(Range() for _ in range(dimensions))
    for _ in range(rounds):
        points, log_w, _ = _grid(ranges)
        log = np.asarray(log_f(points), float)
        log = np.where(np.isnan(log) | (log_w == -np.inf), -np.inf, log) + log_w
        if not np.isfinite(np.max(log)):
            return ranges
        w = np.exp(log - np.max(log))
        w = w / w.sum()
        # quantiles, since tails may be so heavy that there are no moments
        ranges = tuple(_around(points[:, i], w) for i in range(dimensions))
    return ranges


def _around(x: Any, w: Any) -> Range:
    order = np.argsort(x)
    total = np.cumsum(w[order])
    low, middle, high = (x[order][np.searchsorted(total, q * total[-1])] for q in (0.16, 0.5, 0.84))
    return Range(centre=float(middle), scale=float(max((high - low) / 2, 1e-6)))


def evidence(target: Any) -> Integral:
    """The log evidence of a model applied to its data that has one or two free coordinates, and
    the error.

    Raises:
        DiagnosticError: E748, it has more, or none.
    """
    from ppl.semantics.diagnostics import fail

    density = target.density
    if density.size not in (1, 2):
        raise fail(
            "E748",
            f"`{target.name}` has {density.size} free coordinates",
            hint="quadrature is for one or two: condition on others, or use `smc`",
        )
    log_f = on_points(density, target.data)
    return integral(log_f, located(log_f, density.size))


def on_points(density: Any, data: Any) -> Callable[[Any], Any]:
    """The log density of flat positions (n, d), compiled."""
    import jax

    from ppl.semantics.precision import precision

    compiled = jax.jit(jax.vmap(lambda z: density.log_density(data, density.unflatten(z))))

    def log_f(points: Any) -> Any:
        with precision("double"):
            return np.asarray(compiled(points))

    return log_f
