"""Families made of a standard member: moved by a location, and stretched by a scale or a rate."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log, log1p, pi
from typing import Any

from ppl.semantics.machine import special
from ppl.semantics.machine.distributions.family import Family, positive

LOG2 = log(2.0)
HALF_LOG_2PI = 0.5 * log(2 * pi)


def on_line(x: Any, *_: Any) -> bool:
    """Finite."""
    return -inf < x < inf


def on_half_line(x: Any, *_: Any) -> bool:
    """Finite, and not negative."""
    return 0 <= x < inf


def in_unit(x: Any, *_: Any) -> bool:
    """In [0, 1]."""
    return 0 <= x <= 1


def by_quantile(quantile: Callable[..., float]) -> Callable[..., float]:
    return lambda u, z, *args: quantile(log(u), log1p(-u), *args)


def standard(
    density: Callable[..., float],
    *,
    log_cdf: Callable[..., float] | None = None,
    log_sf: Callable[..., float] | None = None,
    quantile: Callable[..., float] | None = None,
    draw: Callable[..., float] | None = None,
) -> dict[str, Any]:
    """A standard member: functions of z and of the shape parameters."""
    return {
        "density": density,
        "log_cdf": log_cdf or one_minus(log_sf),
        "log_sf": log_sf or one_minus(log_cdf),
        "quantile": quantile,
        "draw": draw or (by_quantile(quantile) if quantile else None),
    }


def one_minus(tail: Callable[..., float] | None) -> Callable[..., float] | None:
    return tail and (lambda *a: special.log1m_exp(tail(*a)))


def moved(
    name: str,
    standard: dict[str, Any],
    split: Callable[..., tuple[float, float, tuple[Any, ...]]],
    legal: Callable[..., bool],
    inside: Callable[..., bool],
) -> Family:
    """`split(*args)` is (location, scale, shapes)."""

    def tail(f: Callable[..., float] | None) -> Callable[..., float] | None:
        def at(x: float, *args: Any) -> float:
            m, s, shapes = split(*args)
            return f((x - m) / s, *shapes)  # type: ignore[misc]

        return f and at

    def density(x: float, *args: Any) -> float:
        m, s, shapes = split(*args)
        return standard["density"]((x - m) / s, *shapes) - log(s)

    def draw(u: float, z: int, *args: Any) -> float:
        m, s, shapes = split(*args)
        return m + s * standard["draw"](u, z, *shapes)

    def quantile(lp: float, lq: float, *args: Any) -> float:
        m, s, shapes = split(*args)
        return m + s * standard["quantile"](lp, lq, *shapes)

    return Family(
        name,
        density,
        draw,
        legal,
        inside,
        log_cdf=tail(standard["log_cdf"]),
        log_sf=tail(standard["log_sf"]),
        quantile=standard["quantile"] and quantile,
    )


def location_scale(name: str, standard: dict[str, Any]) -> Family:
    """With arguments (location, scale, *shapes)."""

    def legal(m: float, s: float, *shapes: float) -> bool:
        return 0 < s < inf and -inf < m < inf and all(map(positive, shapes))

    return moved(name, standard, lambda m, s, *k: (m, s, k), legal, on_line)


def scale_family(name: str, standard: dict[str, Any]) -> Family:
    """With arguments (*shapes, scale), on the positive half-line."""
    return moved(
        name,
        standard,
        lambda *a: (0.0, a[-1], a[:-1]),
        lambda *a: all(map(positive, a)),
        on_half_line,
    )


def rate_family(name: str, standard: dict[str, Any]) -> Family:
    """With arguments (*shapes, rate), on the positive half-line."""
    return moved(
        name,
        standard,
        lambda *a: (0.0, 1 / a[-1], a[:-1]),
        lambda *a: all(map(positive, a)),
        on_half_line,
    )
