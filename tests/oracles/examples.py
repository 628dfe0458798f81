"""Posterior means of the examples, computed without the system.

`ANSWERS[name](data)` gives estimates by the names that the example returns. Log densities here are
written over unconstrained coordinates with their Jacobians; p has shape (n, d).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit, gammaln, ndtr, xlogy
from scipy.stats import binom, nbinom, norm, poisson
from scipy.stats import gamma as gamma_dist
from scipy.stats import t as student

from tests.oracles.importance import Estimate, Weighted, sample

Answers = Mapping[str, Estimate]
Data = Mapping[str, Any]


def _exactly(**means: Any) -> Answers:
    return {k: Estimate(np.asarray(v, float), np.zeros(np.shape(v))) for k, v in means.items()}


def _half_normal(x, s):
    return norm.logpdf(x, 0, s)


def _means(w: Weighted, **values: np.ndarray) -> Answers:
    return {k: w.mean(v) for k, v in values.items()}


def challenger(d: Data) -> Answers:
    t, y = np.array(d["temperature"]), np.array(d["damaged"])

    def log_density(p):
        eta = p[:, :1] + p[:, 1:] * (t - 65)
        likelihood = np.where(y, eta, 0) - np.logaddexp(0, eta)
        return norm.logpdf(p[:, 0], 0, 5) + norm.logpdf(p[:, 1], 0, 1) + likelihood.sum(1)

    w = sample(log_density, np.zeros(2))
    a, b = w.points.T
    return _means(w, at_65=a, slope=b, risk=expit(a + b * (31 - 65)))


def beetles(d: Data) -> Answers:
    """Quadrature on a grid for each curve."""
    dose, n, k = (np.array(d[x]) for x in ("dose", "exposed", "killed"))
    m, s = np.meshgrid(np.linspace(1.74, 1.81, 501), np.linspace(3, 16, 501), indexing="ij")
    x = s[..., None] * (dose - m[..., None])
    prior = norm.pdf(m, 1.8, 0.1) * norm.pdf(s, 0, 20)
    curves = (
        expit(4 * x),
        ndtr(np.sqrt(2 * np.pi) * x),
        -np.expm1(-np.exp(x / 0.5 / np.log(2)) * np.log(2)),
    )
    density = [prior * np.exp(binom.logpmf(k, n, p).sum(-1)) for p in curves]
    total = np.sum(density)
    return _exactly(
        median=np.sum(density * m) / total,
        slope=np.sum(density * s) / total,
        which=sum(i * q.sum() for i, q in enumerate(density)) / total,
    )


def coal(d: Data) -> Answers:
    """Conjugate: given the year, each rate is gamma."""
    y = np.array(d["disasters"])
    n = len(y)
    change = np.arange(n)
    before = np.concatenate([[0], np.cumsum(y)[:-1]])
    after = y.sum() - before
    log_w = sum(
        gammaln(1 + s) - (1 + s) * np.log(1 + m) for s, m in ((before, change), (after, n - change))
    )
    w = np.exp(log_w - log_w.max())
    w /= w.sum()
    return _exactly(
        early=w @ ((1 + before) / (1 + change)),
        late=w @ ((1 + after) / (1 + n - change)),
        change=1851 + w @ change,
    )


def rats(d: Data) -> Answers:
    """Lines integrated out: a rat's mean and slope are sufficient, the design is balanced."""
    x, y = np.array(d["age"], float), np.array(d["weight"], float)
    x = x - x.mean()
    sxx, mean = x @ x, y.mean(1)
    slope = y @ x / sxx
    rss = ((y - mean[:, None] - np.outer(slope, x)) ** 2).sum()
    m, free = len(y), len(y) * (len(x) - 2)

    def log_density(p):
        mw, mg = p[:, 0], p[:, 1]
        wsd, gsd, sigma = np.exp(p[:, 2:]).T
        wv, gv = wsd**2 + sigma**2 / len(x), gsd**2 + sigma**2 / sxx
        likelihood = (
            norm.logpdf(mean[:, None], mw, np.sqrt(wv)).sum(0)
            + norm.logpdf(slope[:, None], mg, np.sqrt(gv)).sum(0)
            - free * np.log(sigma)
            - rss / (2 * sigma**2)
        )
        prior = norm.logpdf(mw, 250, 100) + norm.logpdf(mg, 0, 20)
        scales = _half_normal(wsd, 50) + _half_normal(gsd, 5) + _half_normal(sigma, 20)
        return likelihood + prior + scales + p[:, 2:].sum(1)

    assert m == 30
    w = sample(log_density, np.array([240, 6, 2.5, -0.7, 1.8]))
    scales = np.exp(w.points[:, 2:])
    return _means(
        w,
        mean_weight=w.points[:, 0],
        mean_growth=w.points[:, 1],
        weight_sd=scales[:, 0],
        growth_sd=scales[:, 1],
        sigma=scales[:, 2],
    )


def ucb_admissions(d: Data) -> Answers:
    department, female = np.array(d["department"]), np.array(d["female"])
    k, n = np.array(d["admitted"]), np.array(d["applied"])

    def log_density(p):
        eta = p[:, department] + p[:, 6:] * female
        prior = norm.logpdf(p[:, :6], 0, 1.5).sum(1) + norm.logpdf(p[:, 6], 0, 1)
        return prior + (k * eta - n * np.logaddexp(0, eta)).sum(1)

    w = sample(log_density, np.zeros(7))
    return _means(w, alpha=w.points[:, :6], beta=w.points[:, 6])


def stackloss(d: Data) -> Answers:
    x = np.stack([np.array(d[k], float) for k in ("air", "water", "acid")])
    x, y = x - x.mean(1, keepdims=True), np.array(d["loss"])

    def log_density(p):
        sigma = np.exp(p[:, 4])
        mean = p[:, :1] + p[:, 1:4] @ x
        prior = norm.logpdf(p[:, 0], 17, 10) + norm.logpdf(p[:, 1:4], 0, 2).sum(1)
        prior += _half_normal(sigma, 5) + p[:, 4]
        return prior + student.logpdf(y, 4, mean, sigma[:, None]).sum(1)

    w = sample(log_density, np.array([17, 0.7, 1, 0, 1]))
    return _means(w, alpha=w.points[:, 0], beta=w.points[:, 1:4], sigma=np.exp(w.points[:, 4]))


def _neg_binomial(y, mu, phi):
    return nbinom.logpmf(y, phi, phi / (phi + mu))


def insect_sprays(d: Data) -> Answers:
    spray, y = np.array(d["spray"]), np.array(d["count"])

    def log_density(p):
        phi = np.exp(p[:, 6:])
        prior = norm.logpdf(p[:, :6], 2, 2).sum(1) + np.log(0.1) - 0.1 * phi[:, 0] + p[:, 6]
        return prior + _neg_binomial(y, np.exp(p[:, spray]), phi).sum(1)

    w = sample(log_density, np.array([2, 2, 1, 1, 1, 2, 2.0]))
    return _means(w, mean=np.exp(w.points[:, :6]), dispersion=np.exp(w.points[:, 6]))


def pumps(d: Data) -> Answers:
    """Rates integrated out: gamma mixtures of Poissons."""
    t, x = np.array(d["hours"]), np.array(d["failures"])

    def log_density(p):
        a, b = np.exp(p[:, :1]), np.exp(p[:, 1:])
        marginal = gammaln(a + x) - gammaln(a) + a * np.log(b) - (a + x) * np.log(b + t)
        prior = -a[:, 0] + gamma_dist.logpdf(b[:, 0], 0.1)
        return marginal.sum(1) + prior + p.sum(1)

    w = sample(log_density, np.zeros(2))
    a, b = np.exp(w.points[:, :1]), np.exp(w.points[:, 1:])
    return _means(w, alpha=a[:, 0], beta=b[:, 0], theta=(a + x) / (b + t))


def lynx(d: Data) -> Answers:
    x = np.log10(d["trapped"])

    def log_density(p):
        mu, a1, a2, log_sigma = p.T[:, :, None]
        mean = mu + a1 * (x[1:-1] - mu) + a2 * (x[:-2] - mu)
        prior = norm.logpdf(p[:, 0], 3, 1) + norm.logpdf(p[:, 1:3], 0, 1).sum(1)
        prior += _half_normal(np.exp(p[:, 3]), 1) + p[:, 3]
        return prior + norm.logpdf(x[2:], mean, np.exp(log_sigma)).sum(1)

    w = sample(log_density, np.array([3, 1.4, -0.7, -1.5]))
    mu, a1, a2, s = w.points.T
    return _means(w, mu=mu, a1=a1, a2=a2, sigma=np.exp(s), damping=np.sqrt(np.abs(a2)))


def nile(d: Data) -> Answers:
    """Levels integrated out by the Kalman filter."""
    y = np.array(d["flow"], float)

    def filtered(p):
        r, q = np.exp(2 * p[:, 0]), np.exp(2 * p[:, 1])
        m, v = np.full(len(p), 1000.0), np.full(len(p), 300.0**2)
        total = 0.0
        for value in y:
            v = v + q
            s = v + r
            total = total + norm.logpdf(value, m, np.sqrt(s))
            m, v = m + v / s * (value - m), v * r / s
        return total, m

    def log_density(p):
        noise, drift = np.exp(p).T
        return filtered(p)[0] + _half_normal(noise, 200) + _half_normal(drift, 100) + p.sum(1)

    w = sample(log_density, np.array([4.8, 3.5]))
    return _means(
        w, noise=np.exp(w.points[:, 0]), drift=np.exp(w.points[:, 1]), last=filtered(w.points)[1]
    )


def _ordered(p):
    """(n, k) to increasing vectors, and the log-Jacobian."""
    rest = np.cumsum(np.exp(p[:, 1:]), axis=1)
    return np.concatenate([p[:, :1], p[:, :1] + rest], axis=1), p[:, 1:].sum(1)


def _simplex(p):
    """(…, k - 1) to the simplex by softmax with a last 0, and the log-Jacobian."""
    full = np.concatenate([p, np.zeros_like(p[..., :1])], axis=-1)
    x = np.exp(full - np.logaddexp.reduce(full, axis=-1, keepdims=True))
    return x, np.log(x).sum(-1)


def galaxies(d: Data) -> Answers:
    v = np.array(d["velocity"])[:, None] / 1000

    def unpack(p):
        mu, j1 = _ordered(p[:, :3])
        weight, j2 = _simplex(p[:, 4:])
        return mu, np.exp(p[:, 3]), weight, j1 + j2 + p[:, 3]

    def log_density(p):
        mu, sigma, weight, jacobian = unpack(p)
        parts = np.log(weight)[:, None] + norm.logpdf(v, mu[:, None], sigma[:, None, None])
        prior = norm.logpdf(mu, 20, 10).sum(1) + np.log(weight).sum(1)
        prior += norm.logpdf(p[:, 3], 0.5, 0.5) - p[:, 3]
        return prior + jacobian + np.logaddexp.reduce(parts, axis=2).sum(1)

    w = sample(log_density, np.array([9.7, 2.4, 2.5, 0.7, 0.8, 3]), n=20_000)
    mu, sigma, weight, _ = unpack(w.points)
    return _means(w, mu=mu, sigma=sigma, weight=weight)


def earthquakes(d: Data) -> Answers:
    y = np.array(d["count"])
    concentration = 1 + 4 * np.eye(3)

    def unpack(p):
        # an increasing positive vector: increments are exponentials, the first from 0
        rate = np.cumsum(np.exp(p[:, :3]), axis=1)
        move, j2 = _simplex(p[:, 3:].reshape(-1, 3, 2))
        return rate, move, p[:, :3].sum(1) + j2.sum(1)

    def log_density(p):
        rate, move, jacobian = unpack(p)
        prior = gamma_dist.logpdf(rate, 4, scale=5).sum(1)
        prior += ((concentration - 1) * np.log(move)).sum((1, 2))
        emission = poisson.pmf(y[:, None, None], rate)  # (t, n, 3)
        forward, total = emission[0] / 3, 0.0
        for e in emission[1:]:
            norm_ = forward.sum(1)
            total = total + np.log(norm_)
            forward = np.einsum("ni,nij->nj", forward / norm_[:, None], move) * e
        return prior + jacobian + total + np.log(forward.sum(1))

    start = [2.5, 1.9, 2.3, 2, 0, 0, 2, -2, 0]
    w = sample(log_density, np.array(start), n=20_000, df=10)
    rate, move, _ = unpack(w.points)
    return _means(w, rate=rate, move=move)


def cars(d: Data) -> Answers:
    x, y = np.array(d["speed"]), np.array(d["distance"])

    def log_density(p):
        sigma = np.exp(p[:, 2:])
        prior = norm.logpdf(p[:, 0], 0, 50) + norm.logpdf(p[:, 1], 0, 10)
        prior += _half_normal(sigma[:, 0], 30) + p[:, 2]
        return prior + norm.logpdf(y, p[:, :1] + p[:, 1:2] * x, sigma).sum(1)

    w = sample(log_density, np.array([-17, 4, 2.7]))
    return _means(w, at_21=w.points[:, 0] + 21 * w.points[:, 1])


def cars_gp(d: Data) -> Answers:
    x, y = np.array(d["speed"], float), np.array(d["distance"], float)
    gap = (x[:, None] - x) ** 2

    def log_density(p):
        slope, height, scale, noise = np.exp(p).T
        column = (slice(None), None, None)
        k = slope[column] ** 2 * np.outer(x, x)
        k = k + height[column] ** 2 * np.exp(-gap / (2 * scale[column] ** 2))
        k = k + noise[column] ** 2 * np.eye(len(x))
        lower = np.linalg.cholesky(k)
        white = np.linalg.solve(lower, np.broadcast_to(y[:, None], (len(p), len(y), 1)))[..., 0]
        log_det = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
        prior = _half_normal(slope, 5) + _half_normal(height, 20) + _half_normal(noise, 30)
        prior += gamma_dist.logpdf(scale, 5)
        return prior + p.sum(1) - 0.5 * (white**2).sum(1) - log_det

    w = sample(log_density, np.log([2.5, 10, 5, 15]), n=4_000)
    slope, height, scale, noise = np.exp(w.points).T
    return _means(w, slope=slope, height=height, scale=scale, noise=noise)


def cheese(d: Data) -> Answers:
    """Counts by additive and score instead of single tastings."""
    counts = np.zeros((4, 9))
    np.add.at(counts, (np.array(d["additive"]), np.array(d["score"])), 1)

    def log_density(p):
        cuts, jacobian = _ordered(p[:, :8])
        effect = np.concatenate([np.zeros((len(p), 1)), p[:, 8:]], axis=1)
        below = expit(cuts[:, None] - effect[..., None])
        edges = np.concatenate(
            [np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])], axis=-1
        )
        prior = norm.logpdf(cuts, 0, 5).sum(1) + norm.logpdf(p[:, 8:], 0, 5).sum(1)
        return prior + jacobian + xlogy(counts, np.diff(edges)).sum((1, 2))

    start = [-5.5, 0, 0, 0, 0, 0.3, 0.5, 0.3, -3, -1.5, 1.5]
    w = sample(log_density, np.array(start), n=20_000, df=12)
    return _means(w, effect=w.points[:, 8:], cuts=_ordered(w.points[:, :8])[0])


def influenza(d: Data) -> Answers:
    day, y, boys = np.array(d["day"]), np.array(d["in_bed"]), d["boys"]
    per_day, started = 40, d["in_bed_at_start"] / boys

    def infected(contact, recovery):
        """Classical Runge-Kutta with fixed steps: (days, n)."""
        s, i = np.full_like(contact, 1 - started), np.full_like(contact, started)
        h, out = 1 / per_day, []

        def rhs(s, i):
            return -contact * s * i, contact * s * i - recovery * i

        for _ in range(day[-1]):
            for _ in range(per_day):
                a = rhs(s, i)
                b = rhs(s + h / 2 * a[0], i + h / 2 * a[1])
                c = rhs(s + h / 2 * b[0], i + h / 2 * b[1])
                e = rhs(s + h * c[0], i + h * c[1])
                s = s + h / 6 * (a[0] + 2 * b[0] + 2 * c[0] + e[0])
                i = i + h / 6 * (a[1] + 2 * b[1] + 2 * c[1] + e[1])
            out.append(i)
        return np.array(out)[day - 1]

    def log_density(p):
        contact, recovery, phi = np.exp(p).T
        prior = _half_normal(contact, 2) + _half_normal(recovery, 1) + np.log(0.1) - 0.1 * phi
        expected = boys * infected(contact, recovery)
        return prior + p.sum(1) + _neg_binomial(y[:, None], expected, phi).sum(0)

    w = sample(log_density, np.log([1.7, 0.5, 5]), n=10_000)
    contact, recovery, phi = np.exp(w.points).T
    return _means(w, contact=contact, recovery=recovery, dispersion=phi, r0=contact / recovery)


def sprinkler(d: Data) -> Answers:
    """By hand: the sum over the eight worlds (Murphy 2001)."""
    total, rain_, sprinkler_ = 0.0, 0.0, 0.0
    for cloudy in (0, 1):
        for sprinkler in (0, 1):
            for rain in (0, 1):
                p = 0.5
                p *= (0.1 if sprinkler else 0.9) if cloudy else 0.5
                p *= (0.8 if rain else 0.2) if cloudy else (0.2 if rain else 0.8)
                p *= (0.99 if sprinkler and rain else 0.9) if sprinkler or rain else 0.0
                total, rain_ = total + p, rain_ + p * rain
                sprinkler_ += p * sprinkler
    assert d["wet"]
    return _exactly(rain=rain_ / total, sprinkler=sprinkler_ / total)


def monty_hall(d: Data) -> Answers:
    """Selvin 1975: switching wins twice as often."""
    return _exactly(stay=1 / 3, switch=2 / 3)


ANSWERS: dict[str, Callable[[Data], Answers]] = {
    f.__name__: f
    for f in (
        challenger, beetles, coal, rats, ucb_admissions, stackloss, insect_sprays, pumps, lynx,
        nile, galaxies, earthquakes, cars, cars_gp, cheese, influenza, sprinkler, monty_hall,
    )
}  # fmt: skip
