"""The reference models as plain JAX: an independent log density for each, and its supports.

Nothing here goes through the language or NumPyro's distributions. Each density is a function of
(data, parameters), with respect to Lebesgue measure on the constrained parameters (on the simplex:
on all coordinates but the last). Constants that do not depend on parameters are kept where a
density has them in textbooks and dropped nowhere else: truncations to (0, inf) of a density that
is symmetric about 0 are left unnormalised, which is a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, logsumexp

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Reference:
    """`supports` maps each parameter to (kind, shape).

    The kinds are `real`, `positive`, `unit` (0, 1), `ordered`, `positive_ordered`, `simplex` and
    `below_complement:NAME`, the interval (0, 1 - NAME).
    """

    log_density: Callable[[Values, Values], jax.Array]
    supports: Callable[[Values], dict[str, tuple[str, tuple[int, ...]]]]


def normal(x, mu, sigma):
    return -0.5 * ((x - mu) / sigma) ** 2 - jnp.log(sigma) - 0.5 * jnp.log(2 * jnp.pi)


def lognormal(x, mu, sigma):
    return normal(jnp.log(x), mu, sigma) - jnp.log(x)


def student_t(x, nu, mu, sigma):
    z = (x - mu) / sigma
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * jnp.log(nu * jnp.pi)
    return constant - jnp.log(sigma) - 0.5 * (nu + 1) * jnp.log1p(z**2 / nu)


def cauchy(x, sigma):
    return -jnp.log(jnp.pi * sigma * (1 + (x / sigma) ** 2))


def gamma(x, shape, rate):
    return shape * jnp.log(rate) - gammaln(shape) + (shape - 1) * jnp.log(x) - rate * x


def beta(x, a, b):
    log_beta = gammaln(a) + gammaln(b) - gammaln(a + b)
    return (a - 1) * jnp.log(x) + (b - 1) * jnp.log1p(-x) - log_beta


def _array(x):
    return jnp.asarray(x, dtype=float)


def eight_schools(d, p):
    """Non-centred: theta = mu + tau z."""
    theta = p["mu"] + p["tau"] * p["z"]
    return (
        normal(p["mu"], 0, 5)
        + cauchy(p["tau"], 5)
        + normal(p["z"], 0, 1).sum()
        + normal(_array(d["y"]), theta, _array(d["sigma"])).sum()
    )


def sblrc(d, p):
    mean = _array(d["X"]) @ p["beta"]
    return (
        normal(p["beta"], 0, 10).sum()
        + normal(p["sigma"], 0, 10)
        + normal(_array(d["y"]), mean, p["sigma"]).sum()
    )


def _regression(columns, y, p):
    design = jnp.stack([jnp.ones(len(y)), *map(_array, columns)], axis=1)
    return normal(_array(y), design @ p["beta"], p["sigma"]).sum()


def kidscore(d, p):
    return cauchy(p["sigma"], 2.5) + _regression([d["mom_hs"], d["mom_iq"]], d["kid_score"], p)


def mesquite(d, p):
    logs = [
        jnp.log(_array(d[k]))
        for k in ("diam1", "diam2", "canopy_height", "total_height", "density")
    ]
    return _regression([*logs, d["group"]], jnp.log(_array(d["weight"])), p)


def nes1980(d, p):
    age = [(jnp.asarray(d["age_discrete"]) == k) for k in (2, 3, 4)]
    rest = [d[k] for k in ("educ1", "gender", "income")]
    return _regression([d["real_ideo"], d["race_adj"], *age, *rest], d["partyid7"], p)


def kilpisjarvi(d, p):
    return (
        normal(p["alpha"], d["pmualpha"], d["psalpha"])
        + normal(p["beta"], d["pmubeta"], d["psbeta"])
        + normal(_array(d["y"]), p["alpha"] + p["beta"] * _array(d["x"]), p["sigma"]).sum()
    )


def diamonds(d, p):
    x = _array(d["X"])[:, 1:]
    mean = p["intercept"] + (x - x.mean(0)) @ p["b"]
    return (
        normal(p["b"], 0, 1).sum()
        + student_t(p["intercept"], 3, 8, 10)
        + student_t(p["sigma"], 3, 0, 10)
        + normal(_array(d["Y"]), mean, p["sigma"]).sum()
    )


def log_earnings(d, p):
    height, male = _array(d["height"]), _array(d["male"])
    return _regression([height, male, height * male], jnp.log(_array(d["earn"])), p)


def ark(d, p):
    y, k = _array(d["y"]), d["K"]
    lags = jnp.stack([y[k - 1 - j : len(y) - 1 - j] for j in range(k)], axis=1)
    return (
        normal(p["alpha"], 0, 10)
        + normal(p["beta"], 0, 10).sum()
        + cauchy(p["sigma"], 2.5)
        + normal(y[k:], p["alpha"] + lags @ p["beta"], p["sigma"]).sum()
    )


def garch(d, p):
    y = _array(d["y"])

    def step(s, previous):
        s = jnp.sqrt(p["alpha0"] + p["alpha1"] * (previous - p["mu"]) ** 2 + p["beta1"] * s**2)
        return s, s

    first = jnp.asarray(d["sigma1"], float)
    _, rest = jax.lax.scan(step, first, y[:-1])
    return normal(y, p["mu"], jnp.concatenate([first[None], rest])).sum()


def hmm(d, p):
    y, mu = _array(d["y"]), p["mu"]
    log_theta = jnp.log(jnp.stack([p["theta1"], p["theta2"]]))
    emission = normal(y[:, None], mu, 1.0)

    def step(forward, e):
        return logsumexp(forward[:, None] + log_theta, axis=0) + e, None

    last, _ = jax.lax.scan(step, emission[0], emission[1:])
    return normal(mu, jnp.array([3.0, 10.0]), 1).sum() + logsumexp(last)


def gauss_mix(d, p):
    y = _array(d["y"])[:, None]
    log_weight = jnp.log(jnp.stack([p["theta"], 1 - p["theta"]]))
    return (
        normal(p["mu"], 0, 2).sum()
        + normal(p["sigma"], 0, 2).sum()
        + beta(p["theta"], 5, 5)
        + logsumexp(log_weight + normal(y, p["mu"], p["sigma"]), axis=1).sum()
    )


def gp_regression(d, p):
    x, y = _array(d["x"]), _array(d["y"])
    squared = (x[:, None] - x) ** 2
    k = p["alpha"] ** 2 * jnp.exp(-squared / (2 * p["rho"] ** 2)) + p["sigma"] * jnp.eye(len(x))
    _, log_det = jnp.linalg.slogdet(k)
    return (
        gamma(p["rho"], 25, 4)
        + normal(p["alpha"], 0, 2)
        + normal(p["sigma"], 0, 1)
        - 0.5 * (y @ jnp.linalg.solve(k, y) + log_det + len(x) * jnp.log(2 * jnp.pi))
    )


def lotka_volterra(d, p, steps_a_year=100):
    """The equation by the classical Runge-Kutta method with fixed steps; times are whole years."""
    h = 1 / steps_a_year

    def rhs(z):
        u, v = z[0], z[1]
        return jnp.stack(
            [(p["birth"] - p["predation"] * v) * u, (-p["death"] + p["growth"] * u) * v]
        )

    def step(z, _):
        k1 = rhs(z)
        k2 = rhs(z + h / 2 * k1)
        k3 = rhs(z + h / 2 * k2)
        k4 = rhs(z + h * k3)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return z, z

    years = jnp.asarray(d["ts"], int)
    _, path = jax.lax.scan(step, p["z_init"], None, length=max(d["ts"]) * steps_a_year)
    z = path[years * steps_a_year - 1]
    return (
        normal(p["birth"], 1, 0.5)
        + normal(p["death"], 1, 0.5)
        + normal(p["predation"], 0.05, 0.05)
        + normal(p["growth"], 0.05, 0.05)
        + lognormal(p["sigma"], -1, 1).sum()
        + lognormal(p["z_init"], jnp.log(10.0), 1).sum()
        + lognormal(_array(d["y_init"]), jnp.log(p["z_init"]), p["sigma"]).sum()
        + lognormal(_array(d["y"]), jnp.log(z), p["sigma"]).sum()
    )


def _regression_supports(n):
    return lambda d: {"beta": ("real", (n,)), "sigma": ("positive", ())}


REFERENCES: dict[str, Reference] = {
    "ark": Reference(
        ark,
        lambda d: {
            "alpha": ("real", ()),
            "beta": ("real", (d["K"],)),
            "sigma": ("positive", ()),
        },
    ),
    "diamonds": Reference(
        diamonds,
        lambda d: {
            "b": ("real", (len(d["X"][0]) - 1,)),
            "intercept": ("real", ()),
            "sigma": ("positive", ()),
        },
    ),
    "eight_schools": Reference(
        eight_schools,
        lambda d: {
            "mu": ("real", ()),
            "tau": ("positive", ()),
            "z": ("real", (len(d["y"]),)),
        },
    ),
    "garch": Reference(
        garch,
        lambda d: {
            "mu": ("real", ()),
            "alpha0": ("positive", ()),
            "alpha1": ("unit", ()),
            "beta1": ("below_complement:alpha1", ()),
        },
    ),
    "gauss_mix": Reference(
        gauss_mix,
        lambda d: {"mu": ("ordered", (2,)), "sigma": ("positive", (2,)), "theta": ("unit", ())},
    ),
    "gp_regression": Reference(
        gp_regression, lambda d: {k: ("positive", ()) for k in ("rho", "alpha", "sigma")}
    ),
    "hmm": Reference(
        hmm,
        lambda d: {
            "theta1": ("simplex", (2,)),
            "theta2": ("simplex", (2,)),
            "mu": ("positive_ordered", (2,)),
        },
    ),
    "kidscore": Reference(kidscore, _regression_supports(3)),
    "kilpisjarvi": Reference(
        kilpisjarvi,
        lambda d: {"alpha": ("real", ()), "beta": ("real", ()), "sigma": ("positive", ())},
    ),
    "log_earnings": Reference(log_earnings, _regression_supports(4)),
    "lotka_volterra": Reference(
        lotka_volterra,
        lambda d: (
            {k: ("positive", ()) for k in ("birth", "predation", "death", "growth")}
            | {"z_init": ("positive", (2,)), "sigma": ("positive", (2,))}
        ),
    ),
    "mesquite": Reference(mesquite, _regression_supports(7)),
    "nes1980": Reference(nes1980, _regression_supports(9)),
    "sblrc": Reference(sblrc, _regression_supports(5)),
}
