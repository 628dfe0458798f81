"""Finite sites are summed out exactly: density, gradient, and the law of the sites drawn back.

Each model is checked against enumeration of all assignments by hand-written NumPy, with three
states, unequal probabilities and unequal data.
"""

import itertools

import jax
import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.semantics.precision import precision
from ppl.semantics.xla.program import particles

A = np.array([[0.5, 0.2, 0.3], [0.1, 0.7, 0.2], [0.25, 0.35, 0.4]])
START = np.array([0.2, 0.5, 0.3])
Y = np.array([0.3, 1.2, -0.7, 2.2, 0.1])
MU = np.array([-1.0, 0.5, 2.0])

HEAD = (
    "model m(ys: [real], a: [[prob]], start: [prob]) {\n  mu ~ for _ in range(3) { normal(0, 2) }\n"
)
CHAINS = {
    "emission inside": """
  z0 ~ categorical(start)
  zs ~ scan z = z0 for y in ys {
    z ~ categorical(a[z])
    observe y ~ normal(mu[z], 1)
    return z
  }
  return zs
}""",
    "emission after": """
  z0 ~ categorical(start)
  zs ~ scan z = z0 for _ in ys { z ~ categorical(a[z]); return z }
  for (y, z) in zip(ys, zs) { observe y ~ normal(mu[z], 1) }
  return zs
}""",
    "emission after, as arrays": """
  z0 ~ categorical(start)
  zs ~ scan z = z0 for _ in ys { z ~ categorical(a[z]); return z }
  observe ys ~ normal(mu[zs], 1)
  return zs
}""",
}


def chain_paths(mu, last_factor=None):
    """(states, probability) of every path z0, …, z5."""
    for zs in itertools.product(range(3), repeat=6):
        p = START[zs[0]]
        for t, y in enumerate(Y):
            p *= A[zs[t], zs[t + 1]] * stats.norm.pdf(y, mu[zs[t + 1]], 1)
        if last_factor is not None:
            p *= last_factor[zs[-1]]
        yield zs, p


def target(source, **data):
    return ppl.compile(source).m(**data)


def log_density(t, position):
    with precision():
        return float(jax.jit(t.density.log_density)(t.data, position))


def gradient(t, position, site):
    with precision():
        return np.asarray(
            jax.jit(jax.grad(t.density.log_density, argnums=1))(t.data, position)[site]
        )


def prior(mu):
    return stats.norm.logpdf(mu, 0, 2).sum()


@pytest.mark.parametrize("body", CHAINS.values(), ids=CHAINS)
def test_a_chain_is_the_sum_over_all_paths(body):
    t = target(HEAD + body, ys=Y, a=A, start=START)
    want = np.log(sum(p for _, p in chain_paths(MU))) + prior(MU)
    assert log_density(t, {"mu": MU}) == pytest.approx(want, abs=1e-12)


def test_the_gradient_of_a_chain_is_the_expected_score():
    t = target(HEAD + CHAINS["emission inside"], ys=Y, a=A, start=START)
    total, score = 0.0, np.zeros(3)
    for zs, p in chain_paths(MU):
        total += p
        for t_, y in enumerate(Y):
            score[zs[t_ + 1]] += p * (y - MU[zs[t_ + 1]])
    want = score / total - MU / 4
    np.testing.assert_allclose(gradient(t, {"mu": MU}, "mu"), want, rtol=1e-12)


def test_scores_too_far_apart_for_linear_space_are_summed_in_logarithms():
    """Emissions whose log densities differ by thousands: density and gradient stay right."""
    t = target(HEAD + CHAINS["emission inside"], ys=Y, a=A, start=START)
    mu = np.array([-60.0, 0.5, 45.0])
    logs, scores = [], []
    for zs in itertools.product(range(3), repeat=6):
        means = mu[list(zs[1:])]
        steps = np.log(START[zs[0]]) + np.log(A[zs[:-1], zs[1:]]).sum()
        logs.append(steps + stats.norm.logpdf(Y, means, 1).sum())
        scores.append([(Y - means)[np.array(zs[1:]) == k].sum() for k in range(3)])
    want = np.logaddexp.reduce(logs) + prior(mu)
    assert log_density(t, {"mu": mu}) == pytest.approx(want, rel=1e-13)
    weights = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
    np.testing.assert_allclose(
        gradient(t, {"mu": mu}, "mu"), weights @ np.array(scores) - mu / 4, rtol=1e-10, atol=1e-10
    )


def test_impossible_transitions_are_exact_zeros():
    """A left-to-right chain, whose skipped paths have no probability at all."""
    a = np.array([[0.6, 0.4, 0.0], [0.0, 0.3, 0.7], [0.0, 0.0, 1.0]])
    start = np.array([1.0, 0.0, 0.0])
    t = target(HEAD + CHAINS["emission inside"], ys=Y, a=a, start=start)
    total, score = 0.0, np.zeros(3)
    for zs in itertools.product(range(3), repeat=6):
        p = start[zs[0]]
        for k, y in enumerate(Y):
            p *= a[zs[k], zs[k + 1]] * stats.norm.pdf(y, MU[zs[k + 1]], 1)
        total += p
        for k, y in enumerate(Y):
            score[zs[k + 1]] += p * (y - MU[zs[k + 1]])
    assert log_density(t, {"mu": MU}) == pytest.approx(np.log(total) + prior(MU), abs=1e-12)
    want = score / total - MU / 4
    np.testing.assert_allclose(gradient(t, {"mu": MU}, "mu"), want, rtol=1e-12)


def test_a_path_that_is_forced_through_an_unlikely_state_is_not_impossible():
    """A state that must be kept, where others fit the data better by more than numbers can hold."""
    t = target(HEAD + CHAINS["emission inside"], ys=Y, a=np.eye(3), start=np.array([1.0, 0.0, 0.0]))
    mu = np.array([-60.0, 0.5, 45.0])
    want = stats.norm.logpdf(Y, mu[0], 1).sum() + prior(mu)
    assert log_density(t, {"mu": mu}) == pytest.approx(want, rel=1e-13)
    slope = np.array([(Y - mu[0]).sum(), 0.0, 0.0]) - mu / 4
    np.testing.assert_allclose(gradient(t, {"mu": mu}, "mu"), slope, rtol=1e-12)


def test_chains_in_single_precision_know_their_own_range():
    """Odds of exp(-130), which no number of this precision holds, between states that are kept."""
    given = {"ys": Y, "a": np.eye(3), "start": np.array([0.4, 0.0, 0.6])}
    mu = np.array([-16.0, 0.5, 17.0])
    t = target(HEAD + CHAINS["emission inside"], **given)
    want, slope = log_density(t, {"mu": mu}), gradient(t, {"mu": mu}, "mu")
    with precision("single"):
        t = target(HEAD + CHAINS["emission inside"], **given)
        found = jax.jit(jax.value_and_grad(t.density.log_density, 1))(
            t.data, {"mu": np.float32(mu)}
        )
    assert found[0].dtype == np.float32
    assert float(found[0]) == pytest.approx(want, rel=1e-5)
    np.testing.assert_allclose(found[1]["mu"], slope, rtol=1e-4, atol=1e-4)


def test_second_derivatives_of_a_chain():
    t = target(HEAD + CHAINS["emission inside"], ys=Y, a=A, start=START)
    eps = 1e-5
    with precision():
        hessian = jax.jit(jax.hessian(t.density.log_density, argnums=1))
        got = np.asarray(hessian(t.data, {"mu": MU})["mu"]["mu"])
    columns = []
    for e in np.eye(3) * eps:
        up, down = (gradient(t, {"mu": MU + s * e}, "mu") for s in (1, -1))
        columns.append((up - down) / (2 * eps))
    np.testing.assert_allclose(got, np.array(columns), rtol=1e-8, atol=1e-8)


def test_the_last_state_of_a_chain_can_be_used_after_it():
    source = (
        HEAD
        + """
  z0 ~ categorical(start)
  z ~ fold z = z0 for y in ys { z ~ categorical(a[z]); observe y ~ normal(mu[z], 1); return z }
  factor log([0.2, 0.7, 0.4][z])
  return z
}"""
    )
    t = target(source, ys=Y, a=A, start=START)
    want = np.log(sum(p for _, p in chain_paths(MU, [0.2, 0.7, 0.4]))) + prior(MU)
    assert log_density(t, {"mu": MU}) == pytest.approx(want, abs=1e-12)


def test_states_are_drawn_back_from_their_joint_law():
    """Joint law of (z1, z3, z5) by a chi-square test; false-alarm rate 1e-6, seed fixed."""
    t = target(HEAD + CHAINS["emission inside"], ys=Y, a=A, start=START)
    n = 40_000
    axes = (particles(n),)
    with precision():

        @jax.jit
        def draw(data, key):
            position = {"mu": jax.numpy.broadcast_to(MU, (n, 3))}
            _, state = t.bound.recover(data, position, key, axes)
            return state.kept["zs"].data, state.sites["z0"].data

        zs, z0 = (np.asarray(x) for x in draw(t.data, jax.random.key(17)))
    cell = 27 * z0 + 9 * zs[:, 0] + 3 * zs[:, 2] + zs[:, 4]
    expected = np.zeros(81)
    for path, p in chain_paths(MU):
        expected[27 * path[0] + 9 * path[1] + 3 * path[3] + path[5]] += p
    expected *= n / expected.sum()
    observed = np.bincount(cell, minlength=81)
    keep = expected > 5
    rest = (observed[~keep].sum(), expected[~keep].sum())
    statistic = np.sum((observed[keep] - expected[keep]) ** 2 / expected[keep])
    statistic += (rest[0] - rest[1]) ** 2 / max(rest[1], 1.0)
    assert stats.chi2.sf(statistic, keep.sum()) > 1e-6


MIXTURE = """
model m(ys: [real], w: [prob]) {
  mu ~ for _ in range(3) { normal(0, 2) }
  zs ~ for y in ys { z ~ categorical(w); observe y ~ normal(mu[z], 0.7); return z }
  return zs
}"""


def test_a_mixture_is_a_product_of_sums():
    t = target(MIXTURE, ys=Y, w=START)
    want = prior(MU) + sum(np.log(START @ stats.norm.pdf(y, MU, 0.7)) for y in Y)
    assert log_density(t, {"mu": MU}) == pytest.approx(want, abs=1e-12)


def test_a_global_choice_couples_the_elements_of_a_plate():
    source = """
model m(ys: [real], w: [prob]) {
  mu ~ for _ in range(3) { normal(0, 2) }
  g ~ categorical(w)
  for y in ys {
    z ~ categorical(if g == 0 { [0.1, 0.2, 0.7] } else { [0.6, 0.3, 0.1] })
    observe y ~ normal(mu[z] + to_real(g), 0.7)
  }
  return g
}""".replace("to_real(g)", "0.3 * g")
    t = target(source, ys=Y, w=START)
    total = 0.0
    for g in range(3):
        p = np.array([0.1, 0.2, 0.7] if g == 0 else [0.6, 0.3, 0.1])
        total += START[g] * np.prod([p @ stats.norm.pdf(y, MU + 0.3 * g, 0.7) for y in Y])
    want = np.log(total) + prior(MU)
    assert log_density(t, {"mu": MU}) == pytest.approx(want, abs=1e-12)


def test_chains_inside_a_plate():
    source = """
model m(rows: [[real]], a: [[prob]], start: [prob]) {
  mu ~ for _ in range(3) { normal(0, 2) }
  for ys in rows {
    z0 ~ categorical(start)
    zs ~ scan z = z0 for y in ys { z ~ categorical(a[z]); observe y ~ normal(mu[z], 1); return z }
    return zs
  }
}"""
    rows = np.array([[0.3, 1.2, -0.7], [2.2, 0.1, 0.4]])
    t = target(source, rows=rows, a=A, start=START)
    want = prior(MU)
    for ys in rows:
        total = 0.0
        for zs in itertools.product(range(3), repeat=4):
            p = START[zs[0]]
            for k, y in enumerate(ys):
                p *= A[zs[k], zs[k + 1]] * stats.norm.pdf(y, MU[zs[k + 1]], 1)
            total += p
        want += np.log(total)
    assert log_density(t, {"mu": MU}) == pytest.approx(want, abs=1e-12)


def test_a_second_order_chain():
    source = """
model m(ys: [real], a: [[[prob]]], start: [prob]) {
  mu ~ for _ in range(3) { normal(0, 2) }
  z0 ~ categorical(start)
  z1 ~ categorical(start)
  zs ~ scan (u, v) = (z0, z1) for y in ys {
    w ~ categorical(a[u][v])
    observe y ~ normal(mu[w], 1)
    return (v, w)
  }
  return zs
}"""
    rng = np.random.default_rng(4)
    a = rng.dirichlet([1, 2, 3], size=(3, 3))
    ys = Y[:4]
    t = target(source, ys=ys, a=a, start=START)
    total = 0.0
    for zs in itertools.product(range(3), repeat=6):
        p = START[zs[0]] * START[zs[1]]
        for k, y in enumerate(ys):
            p *= a[zs[k], zs[k + 1], zs[k + 2]] * stats.norm.pdf(y, MU[zs[k + 2]], 1)
        total += p
    assert log_density(t, {"mu": MU}) == pytest.approx(np.log(total) + prior(MU), abs=1e-12)


def test_a_continuous_state_beside_a_summed_one():
    """The data's own past is carried along with the summed state (a switching autoregression)."""
    source = """
model m(ys: [real], a: [[prob]], start: [prob]) {
  mu ~ for _ in range(3) { normal(0, 2) }
  z0 ~ categorical(start)
  zs ~ scan (z, last) = (z0, 0.4) for y in ys {
    z ~ categorical(a[z])
    observe y ~ normal(mu[z] + 0.5 * last, 1)
    return (z, y)
  }
  return zs
}"""
    t = target(source, ys=Y, a=A, start=START)
    before = np.concatenate([[0.4], Y[:-1]])
    total = 0.0
    for zs in itertools.product(range(3), repeat=6):
        p = START[zs[0]]
        for k, y in enumerate(Y):
            p *= A[zs[k], zs[k + 1]] * stats.norm.pdf(y, MU[zs[k + 1]] + 0.5 * before[k], 1)
        total += p
    assert log_density(t, {"mu": MU}) == pytest.approx(np.log(total) + prior(MU), abs=1e-12)


def test_continuous_choices_whose_laws_depend_on_summed_ones():
    """One coordinate each, whatever the options; a bound that depends on one scales it."""
    t = target(
        """
model m(v: real) {
  y ~ categorical([0.2, 0.3, 0.5])
  xs ~ for k in range(3) {
    z ~ bernoulli(0.3)
    x ~ normal(y - 2 * indicator(z), 1 + k)
    return x
  }
  w ~ uniform(0, y + 1)
  observe v ~ normal(xs[0] + w, 1)
  condition y > 0
  return {y, w}
}""",
        v=0.4,
    )
    assert {s.path: s.unconstrained_shape for s in t.density.sites} == {"xs/x": (3,), "w": ()}
    xs, u = np.array([0.3, -1.2, 2.1]), 0.7
    share = 1 / (1 + np.exp(-u))
    total = 0.0
    for y, p in ((1, 0.3), (2, 0.5)):
        for k, x in enumerate(xs):
            p *= 0.7 * stats.norm.pdf(x, y, 1 + k) + 0.3 * stats.norm.pdf(x, y - 2, 1 + k)
        total += p * share * (1 - share) * stats.norm.pdf(0.4, xs[0] + (y + 1) * share, 1)
    got = log_density(t, {"xs/x": xs, "w": np.array(u)})
    assert float(got) == pytest.approx(np.log(total), abs=1e-12)


@pytest.mark.parametrize("start", [0, 3])
def test_a_chain_may_start_from_a_state_that_it_never_comes_back_to(start):
    t = target(
        f"""
model m(ys: [real]) {{
  zs ~ scan z = {start} for y in ys {{
    z ~ categorical(if z == 0 {{ [0.3, 0.7] }} else {{ [0.6, 0.4] }})
    observe y ~ normal(z, 1)
    return z
  }}
  return zs
}}""",
        ys=Y,
    )
    total = 0.0
    for zs in itertools.product(range(2), repeat=len(Y)):
        p, before = 1.0, start
        for z, y in zip(zs, Y, strict=True):
            p *= ([0.3, 0.7] if before == 0 else [0.6, 0.4])[z] * stats.norm.pdf(y, z, 1)
            before = z
        total += p
    found = ppl.infer(t, ppl.exact(paths=1, draws=1), progress=False)
    assert found.log_evidence == pytest.approx(np.log(total), abs=1e-12)


def test_a_choice_in_a_branch_that_is_not_taken_adds_nothing():
    source = """
model m(ys: [real], w: [prob]) {
  mu ~ for _ in range(3) { normal(0, 2) }
  for y in ys {
    use ~ bernoulli(0.3)
    shift ~ if use { k ~ categorical(w); return mu[k] } else { return 0.25 }
    observe y ~ normal(shift, 1)
  }
  return mu
}"""
    t = target(source, ys=Y, w=START)
    each = 0.3 * stats.norm.pdf(Y[:, None], MU, 1) @ START + 0.7 * stats.norm.pdf(Y, 0.25, 1)
    assert log_density(t, {"mu": MU}) == pytest.approx(np.log(each).sum() + prior(MU), abs=1e-12)


REFUSED = {
    "coupled elements": (
        "zs ~ for y in ys { z ~ bernoulli(0.3); return if z { 1 } else { 0 } }\n"
        "  observe 2.5 ~ normal(sum(zs), 1)",
        "E805",
    ),
    "a continuous state that depends on a summed one": (
        "x ~ fold x = 0.0 for y in ys {\n"
        "    z ~ bernoulli(0.3)\n"
        "    return if z { x + 1 } else { x * 0.5 }\n"
        "  }\n"
        "  observe 2.5 ~ normal(x, 1)",
        "E806",
    ),
    "no bound": ("k ~ poisson(3)\n  observe 2.5 ~ normal(k, 1)", "E803"),
}


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_summed_is_refused_by_name(body, code):
    source = f"model m(ys: [real]) {{\n  s ~ half_normal(1)\n  {body}\n  return s\n}}"
    t = target(source, ys=Y)
    with pytest.raises(ppl.DiagnosticError) as error:
        log_density(t, {"s": np.array(0.3)})
    diagnostic = error.value.diagnostics[0]
    assert diagnostic.code == code
    assert diagnostic.span is not None
    assert diagnostic.hint


def test_exact_inference_in_factors():
    """Evidence and smoothed marginals of a chain too long to enumerate, against a shorter one's
    enumeration and a hand-written forward-backward recursion."""
    source = """
model m(ys: [real], a: [[prob]], start: [prob], mu: [real]) {
  z0 ~ categorical(start)
  zs ~ scan z = z0 for y in ys {
    z ~ categorical(a[z])
    observe y ~ normal(mu[z], 1)
    return z
  }
  return zs
}"""
    rng = np.random.default_rng(8)
    ys = rng.normal(size=40)
    t = target(source, ys=ys, a=A, start=START, mu=MU)
    posterior = ppl.infer(t, ppl.exact(draws=500), seed=3)
    emission = stats.norm.pdf(ys[:, None], MU, 1)
    alphas, betas = [START @ A * emission[0]], [np.ones(3)]
    for e in emission[1:]:
        alphas.append(alphas[-1] @ A * e)
    for e in emission[:0:-1]:
        betas.insert(0, A @ (e * betas[0]))
    evidence = alphas[-1].sum()
    assert posterior.log_evidence == pytest.approx(np.log(evidence), abs=1e-11)
    want = np.array(alphas) * np.array(betas) / evidence
    np.testing.assert_allclose(posterior.marginals["zs/z"], want, rtol=1e-10)
    assert posterior["zs"].shape == (1, 500, 40)
    frequency = np.mean(posterior["zs"][0] == 1, axis=0)
    # 40 binomial proportions of 500 draws; false-alarm rate below 1e-6, seed fixed
    assert np.all(np.abs(frequency - want[:, 1]) < 6 * np.sqrt(0.25 / 500))


def test_a_chain_from_data_outside_its_states_is_refused_by_name():
    source = """model m(ys: [real], start: nat) {
  a ~ normal(0, 1)
  zs ~ scan z = start for y in ys {
    let from = z
    z ~ categorical([0.2, 0.5, 0.3])
    observe y ~ normal(a * z + from, 1)
    return z
  }
  return zs
}"""
    inside, outside = (target(source, ys=Y, start=k) for k in (2, 5))
    assert np.isfinite(inside.log_density({"a": np.array(0.3)}))
    with pytest.raises(ppl.DiagnosticError) as error:
        ppl.infer(outside, ppl.nuts(chains=1, warmup=5, draws=5), progress=False)
    (found,) = error.value.diagnostics
    assert found.code == "E718" and "0 to 2" in found.message
    assert found.span is not None and found.span.text.startswith("scan z = start")


def test_data_may_bound_a_summed_site():
    """Capture and recapture: how many there are is summed from what was seen to a bound."""
    source = """model m(first: nat, second: nat, both: nat, most: nat) {
  n ~ discrete_uniform(first + second - both, most)
  q ~ beta(2, 3)
  observe first ~ binomial(n, q)
  observe second ~ binomial(n, 0.4)
  return n
}"""
    t = target(source, first=8, second=6, both=3, most=20)
    at = 0.3
    q = 1 / (1 + np.exp(-at))
    n = np.arange(11, 21)
    terms = stats.binom.pmf(8, n, q) * stats.binom.pmf(6, n, 0.4) / len(n)
    want = np.log(terms.sum() * stats.beta.pdf(q, 2, 3) * q * (1 - q))
    assert t.log_density({"q": np.array(at)}) == pytest.approx(want, abs=1e-12)


def test_a_random_bound_is_refused_at_its_site():
    source = """model m(y: real) {
  n ~ categorical([0.2, 0.3, 0.5])
  k ~ binomial(n, 0.4)
  x ~ normal(k, 1)
  observe y ~ normal(x, 1)
  return k
}"""
    with pytest.raises(ppl.DiagnosticError, match="`k` cannot be summed out") as error:
        _ = target(source, y=0.3).density
    (found,) = error.value.diagnostics
    assert found.code == "E724" and found.span is not None and found.span.text == "binomial(n, 0.4)"


SHARED = """
model held() {
  x ~ categorical([1/5, 1/5, 3/5])
  b ~ bernoulli(1/17)
  observe 1.5 ~ normal(x, 1)
  return (x, indicator(b) == (fold s = x for i in range(3) { x }))
}
model replaced() {
  x ~ categorical([3/7, 2/7, 2/7])
  y ~ fold s = x for (i, j) in zip(range(3), range(3)) {
    u ~ discrete_uniform(0, 2)
    condition u >= j - s
    return j
  }
  for k in range(3) { observe y ~ categorical([9/17, 3/17, 5/17]) }
  return (x, y)
}
model read() {
  x ~ categorical([3/7, 2/7, 2/7])
  ys ~ scan s = x for i in range(4) {
    z ~ categorical([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]][s])
    observe 0.3 * i ~ normal(z + x, 1)
    return z
  }
  zs ~ scan s = x for i in range(3) { observe 0.5 ~ normal(s, 1); return x }
  return (x, ys, zs)
}
model both() {
  x ~ categorical([3/7, 2/7, 2/7])
  ys ~ scan s = x for i in range(3) {
    z ~ categorical([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]][s])
    observe 0.3 * i ~ normal(z, 1)
    return z
  }
  ws ~ scan s = x for i in range(3) {
    z ~ categorical([[0.3, 0.3, 0.4], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]][s])
    observe 1.1 * i ~ normal(z - x, 1)
    return z
  }
  return (x, ys, ws)
}
"""


@pytest.mark.parametrize("name", ["held", "replaced", "read", "both"])
def test_loops_share_the_choice_that_they_start_from(name):
    """The choice is carried on, forgotten, read by the steps, or starts two chains."""
    t = ppl.compile(SHARED)[name]()
    paths = ppl.infer(t, ppl.exact(), progress=False)
    sums = ppl.infer(t, ppl.exact(paths=1, draws=10), progress=False)
    assert paths.exact and not sums.exact
    assert sums.log_evidence == pytest.approx(paths.log_evidence, abs=1e-12)
    law = [np.sum(paths.weights * (np.asarray(paths["x"]) == k)) for k in range(3)]
    np.testing.assert_allclose(sums.marginals["x"], law, atol=1e-12)
