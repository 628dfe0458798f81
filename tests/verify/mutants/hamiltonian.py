"""Hamiltonian and Langevin kernels and the trees of NUTS, with one of their parts wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from ppl.verify import bernoulli, categorical
from ppl.verify.maps import banana
from ppl.verify.orbits import turns, weights

EPS = 0.35


def uphill(z):
    """Its gradient."""
    off = (z[1] - 0.4 * z[0] ** 2 + 0.3) / 0.6
    return jnp.stack([-z[0] / 1.3**2 + 0.8 * z[0] * off, -off])


def leapfrog(q, p, *, first=0.5, last=0.5):
    p = p + first * EPS * uphill(q)
    q = q + EPS * p
    return q, p + last * EPS * uphill(q)


def trajectory(x, *, steps=2, turned=True):
    q, p = x[:2], x[2:]
    for _ in range(steps):
        q, p = leapfrog(q, p)
    return jnp.concatenate([q, -p if turned else p])


def energy(x, *, kinetic=1.0):
    return -banana(x[:2]) + 0.5 * kinetic * jnp.sum(x[2:] ** 2)


def accept_by(energy):
    return lambda x, y: jnp.minimum(1.0, jnp.exp(energy(x) - energy(y)))


def mala(x, noise, *, sign=1.0):
    return x + sign * 0.5 * EPS**2 * uphill(x) + EPS * noise


def on_the_ellipse(x, noise, *, refreshed=(1.0, 1.0)):
    """A point on the ellipse through x and a draw from the prior, of which some numbers are new."""
    return 0.8 * x + 0.6 * jnp.array(refreshed) * noise


def likelihood_ratio(x, y):
    """Of the target over a standard normal prior."""
    over = [banana(z) + 0.5 * jnp.sum(z**2) for z in (x, y)]
    return jnp.minimum(1.0, jnp.exp(over[1] - over[0]))


def mala_ratio(x, y, *, sign=1.0, corrected=True):
    def log_q(x, y):
        return -0.5 * jnp.sum((y - mala(x, 0.0, sign=sign)) ** 2) / EPS**2

    correction = log_q(y, x) - log_q(x, y) if corrected else 0.0
    return jnp.minimum(1.0, jnp.exp(banana(y) - banana(x) + correction))


def variant(
    *,
    merged=True,
    whole_sums=True,
    subtrees=True,
    discarded=True,
    extra=False,
    uniform=False,
    q=False,
):
    """NUTS with one of its parts wrong."""

    def transition(orbit, start, omega, *, depth):
        seen = replace(orbit, p=orbit.q) if q else orbit
        left = right = chosen = start
        for k in range(depth):
            forward = bernoulli(omega, ("direction", k), 0.5)
            a, b = (right + 1, right + 2**k) if forward else (left - 2**k, left - 1)
            bad = turns(seen, a, b) if subtrees else False
            if bad and discarded:
                break
            new, old = weights(orbit, a, b), weights(orbit, left, right)
            pick = a + categorical(omega, ("pick", k), tuple(new / new.sum()))
            ratio = 2**k / 2**k if uniform else new.sum() / old.sum()
            if bernoulli(omega, ("accept", k), min(1.0, ratio)):
                chosen = pick
            if bad:
                break
            left, right = min(a, left), max(b, right)
            turning = seen.turning(left, right) if whole_sums else _by_part(seen, left, right, a, b)
            if merged and turning:
                break
        ratio = math.exp(min(0.0, orbit.energy[start] - orbit.energy[chosen]))
        return chosen if not extra or bernoulli(omega, "again", ratio) else start

    return transition


def _by_part(orbit, left, right, a, b):
    """The criterion with the sum over the newer half alone."""
    total = np.sum(orbit.p[a : b + 1], 0)
    return bool(orbit.p[left] @ total <= 0 or orbit.p[right] @ total <= 0)
