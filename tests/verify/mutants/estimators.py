"""Gradient estimators with finite choices: right ones, and with one of their parts wrong."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ppl.semantics import distributions as D

REWARD = jnp.array([0.3, 1.9, -0.8])
DATA = jnp.array([0.4, -1.1, 2.3])


def law(theta):
    return D.make("categorical", (jax.nn.softmax(theta),))


def log_p(theta, z):
    return jax.nn.log_softmax(theta)[z]


def score(theta, z):
    """The gradient of `log_p`."""
    return (jnp.arange(3) == z) - jax.nn.softmax(theta)


THETA = jnp.array([0.2, -0.5, 0.7])


def reward(theta, omega):
    omega, z = omega.draw(("z",), law(theta), ())
    return omega, REWARD[z] * (1 + 0.2 * theta[0])


def score_function(theta, omega, *, path=1.0, likelihood=1.0):
    """The score function times the reward less a baseline, and the reward's own derivative."""
    omega, z = omega.draw(("z",), law(theta), ())
    value, slope = REWARD[z] * (1 + 0.2 * theta[0]), REWARD[z] * jnp.array([0.2, 0.0, 0.0])
    return omega, likelihood * (value - 0.4) * score(theta, z) + path * slope


def subsampled(theta, omega, *, power=1):
    """A sum over data by one of its terms; `power` 2 scales twice."""
    omega, i = omega.draw(("i",), D.make("categorical", (jnp.array([0.2, 0.5, 0.3]),)), ())
    scale = 1 / jnp.array([0.2, 0.5, 0.3])[i] ** power
    off = DATA[i] - theta[0] * theta[1]
    return omega, scale * off * jnp.stack([theta[1], theta[0], 0.0])


def scaled(theta, omega, *, by):
    omega, gradient = subsampled(theta, omega)
    return omega, by * gradient


def whole(theta, omega):
    return omega, jnp.sum(-0.5 * (DATA - theta[0] * theta[1]) ** 2)


def weight(theta, z):
    """A log weight of importance sampling."""
    return jnp.array([0.4, -0.9, 0.1])[z] - log_p(theta, z)


def several(theta, omega):
    omega, zs = omega.draw(("z",), law(theta).expand((3,)), (3,))
    return omega, jax.nn.logsumexp(weight(theta, zs)) - jnp.log(3)


def multi_sample(theta, omega, *, normalised=True):
    """The gradient of the log of the mean of three weights; normalised by the sum of all, or by
    what is left of it after it was overwritten."""
    omega, zs = omega.draw(("z",), law(theta).expand((3,)), (3,))

    w = weight(theta, zs)
    share = jnp.exp(w - (jax.nn.logsumexp(w) if normalised else w[-1] + jnp.log(3)))
    scores = (zs[:, None] == jnp.arange(3)) - jax.nn.softmax(theta)
    value = jax.nn.logsumexp(w) - jnp.log(3)
    return omega, jnp.sum((value - share[:, None]) * scores, 0)


def chain(theta, omega):
    """Three choices, each by the one before, in a loop."""

    def step(carry, t):
        omega, z, total = carry
        omega_t = omega.enter(t)
        omega_t, z = omega_t.draw(("z",), law(theta * (1 + 0.5 * z)), ())
        return (omega.leave(omega_t), z, total + REWARD[z] * (t + 1)), None

    (omega, _, total), _ = jax.lax.scan(step, (omega, jnp.array(0), 0.0), jnp.arange(3))
    return omega, total


def through_the_loop(theta, omega, *, inside=True):
    def step(carry, t):
        omega, z, total, scores = carry
        omega_t, by = omega.enter(t), 1 + 0.5 * z
        omega_t, new = omega_t.draw(("z",), law(theta * by), ())
        scores = scores + by * score(theta * by, new) * inside
        return (omega.leave(omega_t), new, total + REWARD[new] * (t + 1), scores), None

    start = (omega, jnp.array(0), 0.0, jnp.zeros(3))
    (omega, _, total, scores), _ = jax.lax.scan(step, start, jnp.arange(3))
    return omega, total * scores


def two_sites(theta, omega, *, names=("z", "y")):
    omega, z = omega.draw((names[0],), law(theta), ())
    omega, y = omega.draw((names[1],), law(2 * theta), ())
    value = REWARD[z] * REWARD[y]
    return omega, value * (score(theta, z) + 2 * score(2 * theta, y))


def two(theta, omega):
    omega, z = omega.draw(("z",), law(theta), ())
    omega, y = omega.draw(("y",), law(2 * theta), ())
    return omega, REWARD[z] * REWARD[y]


def squared(theta, omega):
    """A choice decides on a branch, whose value a nonlinear function is of."""
    omega, z = omega.draw(("z",), law(theta), ())
    return omega, jnp.where(z == 0, REWARD[0] * (1 + 0.2 * theta[0]), REWARD[z]) ** 2


def through_the_branch(theta, omega, *, whole=True):
    """The score times the function's value; or, wrongly, times the branch's value, through the
    function's derivative."""
    omega, z = omega.draw(("z",), law(theta), ())
    value = jnp.where(z == 0, REWARD[0] * (1 + 0.2 * theta[0]), REWARD[z])
    slope = jnp.where(z == 0, 0.2 * REWARD[0], 0.0) * jnp.array([1.0, 0.0, 0.0])
    return omega, (value**2 if whole else 2 * value * value) * score(theta, z) + 2 * value * slope


def with_(f, **options):
    return lambda theta, omega: f(theta, omega, **options)
