"""Families made of a standard member: moved by a location, stretched by a scale or a rate."""

from __future__ import annotations

from dataclasses import replace
from math import log

import jax.numpy as jnp
from jax import Array

from ppl.semantics.distributions.family import Family

LOG2 = log(2.0)


def location_scale(standard: Family, at: int = 0) -> Family:
    """Insert a location and a scale as parameters `at` and `at + 1` of a standard family."""

    def shapes(p):
        return (*p[:at], *p[at + 2 :])

    def z(x, p):
        return (x - p[at]) / p[at + 1]

    def wrap(f, back=False):
        if f is None:
            return None
        if back:
            return lambda log_p, log_q, *p: p[at] + p[at + 1] * f(log_p, log_q, *shapes(p))
        return lambda x, *p: f(z(x, p), *shapes(p))

    def sample(key, shape, *p):
        return p[at] + p[at + 1] * standard.sample(key, shape, *shapes(p))

    return replace(
        standard,
        kinds=(*standard.kinds[:at], "real", "pos", *standard.kinds[at:]),
        log_density=lambda x, *p: standard.log_density(z(x, p), *shapes(p)) - jnp.log(p[at + 1]),
        sample=standard.sample and sample,
        log_cdf=wrap(standard.log_cdf),
        log_sf=wrap(standard.log_sf),
        quantile=wrap(standard.quantile, back=True),
    )


def scale(standard: Family) -> Family:
    """Append a scale to the parameters of a standard family on the positive half-line."""
    n = len(standard.kinds)

    def wrap(f):
        return f and (lambda x, *p: f(x / p[n], *p[:n]))

    return replace(
        standard,
        kinds=(*standard.kinds, "pos"),
        log_density=lambda x, *p: standard.log_density(x / p[n], *p[:n]) - jnp.log(p[n]),
        sample=standard.sample
        and (lambda key, shape, *p: p[n] * standard.sample(key, shape, *p[:n])),
        log_cdf=wrap(standard.log_cdf),
        log_sf=wrap(standard.log_sf),
        quantile=standard.quantile
        and (lambda lp, lq, *p: p[n] * standard.quantile(lp, lq, *p[:n])),
    )


def rate(standard: Family) -> Family:
    """As `scale`, with one over the scale."""
    scaled = scale(standard)
    return replace(scaled, canonical=lambda *p: (*p[:-1], 1 / jnp.asarray(p[-1])))


def dtype(*parameters: Array):
    return jnp.result_type(*parameters)
