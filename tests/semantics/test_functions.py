"""Primitive functions: values against numpy and scipy, kinds, gradients, edge cases."""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp

from ppl.semantics import functions as F
from ppl.semantics.functions.special import betainc, lbeta, log_ndtri

pytestmark = pytest.mark.usefixtures("quick_compilation")

quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

ANY = np.array([-7.3, -2.5, -0.6, 0.2, 1.5, 3.0, 11.7])
POS = np.array([0.03, 0.4, 1.0, 2.5, 7.9, 23.0, 140.0])
UNIT = np.array([1e-4, 0.11, 0.37, 0.5, 0.72, 0.93, 0.9995])
OPEN = 2 * UNIT - 1
INTS = np.array([-5, -2, -1, 1, 2, 3, 9])
OTHER = np.array([2, 3, -4, 5, 7, -2, 4])
LEFT, RIGHT = UNIT < 0.6, ANY > 0

#: name -> (arguments, reference); real unless both are ints
ELEMENTWISE = {
    "add": ((INTS, OTHER), np.add),
    "sub": ((ANY, INTS), np.subtract),
    "mul": ((ANY, POS), np.multiply),
    "div": ((INTS, OTHER), np.divide),
    "floordiv": ((INTS, OTHER), np.floor_divide),
    "mod": ((INTS, OTHER), np.mod),
    "pow": ((POS, ANY), np.power),
    "neg": ((INTS,), np.negative),
    "lt": ((ANY, INTS), np.less),
    "gt": ((ANY, INTS), np.greater),
    "le": ((ANY, ANY[::-1]), np.less_equal),
    "ge": ((ANY, ANY[::-1]), np.greater_equal),
    "eq": ((INTS, OTHER), np.equal),
    "ne": ((INTS, OTHER), np.not_equal),
    "and": ((LEFT, RIGHT), np.logical_and),
    "or": ((LEFT, RIGHT), np.logical_or),
    "not": ((LEFT,), np.logical_not),
    "exp": ((ANY,), np.exp),
    "expm1": ((ANY,), np.expm1),
    "log": ((POS,), np.log),
    "log1p": ((POS,), np.log1p),
    "log1m": ((UNIT,), lambda x: np.log1p(-x)),
    "log1p_exp": ((ANY,), lambda x: np.logaddexp(0, x)),
    "log1m_exp": ((-POS,), lambda x: np.log(-np.expm1(x))),
    "log_diff_exp": ((ANY + POS, ANY), lambda a, b: a + np.log(-np.expm1(b - a))),
    "log_sum_exp": ((ANY, POS), np.logaddexp),
    "sqrt": ((POS,), np.sqrt),
    "square": ((INTS,), np.square),
    "abs": ((ANY,), np.abs),
    "sign": ((ANY,), lambda x: np.sign(x).astype(int)),
    "floor": ((ANY,), lambda x: np.floor(x).astype(int)),
    "ceil": ((ANY,), lambda x: np.ceil(x).astype(int)),
    "round": ((ANY,), lambda x: np.round(x).astype(int)),
    "trunc": ((ANY,), lambda x: np.trunc(x).astype(int)),
    "sin": ((ANY,), np.sin),
    "cos": ((ANY,), np.cos),
    "tan": ((ANY,), np.tan),
    "asin": ((OPEN,), np.arcsin),
    "acos": ((OPEN,), np.arccos),
    "atan": ((ANY,), np.arctan),
    "atan2": ((ANY, POS[::-1] - 3.0), np.arctan2),
    "sinh": ((ANY,), np.sinh),
    "cosh": ((ANY,), np.cosh),
    "tanh": ((ANY,), np.tanh),
    "asinh": ((ANY,), np.arcsinh),
    "acosh": ((1.0 + POS,), np.arccosh),
    "atanh": ((OPEN,), np.arctanh),
    "sigmoid": ((ANY,), sp.expit),
    "logit": ((UNIT,), sp.logit),
    "softplus": ((ANY,), lambda x: np.logaddexp(0, x)),
    "log_sigmoid": ((ANY,), sp.log_expit),
    "lgamma": ((ANY + 0.05,), sp.gammaln),
    "digamma": ((POS,), sp.digamma),
    "trigamma": ((POS,), lambda x: sp.polygamma(1, x)),
    "lbeta": ((POS, POS[::-1] + 0.5), sp.betaln),
    "lchoose": ((POS + 3.2, UNIT * 3), lambda n, k: np.log(sp.binom(n, k))),
    "lfactorial": ((POS,), lambda n: sp.gammaln(n + 1)),
    "erf": ((ANY,), sp.erf),
    "erfc": ((ANY,), sp.erfc),
    "erf_inv": ((OPEN,), sp.erfinv),
    "Phi": ((ANY,), sp.ndtr),
    "inv_Phi": ((UNIT,), sp.ndtri),
    "log_Phi": ((3 * ANY,), sp.log_ndtr),
    "gamma_p": ((POS, POS[::-1]), sp.gammainc),
    "gamma_q": ((POS, POS[::-1]), sp.gammaincc),
    "inc_beta": ((POS, POS[::-1] / 9, UNIT), sp.betainc),
    "bessel_i0e": ((POS,), sp.i0e),
    "bessel_i1e": ((ANY,), sp.i1e),
    "min": ((INTS, OTHER), np.minimum),
    "max": ((ANY, INTS), np.maximum),
    "hypot": ((ANY, POS), np.hypot),
    "indicator": ((LEFT,), lambda c: c.astype(int)),
    "to_real": ((INTS,), lambda x: x.astype(float)),
    "score_if": ((LEFT,), lambda c: np.where(c, 0.0, -np.inf)),
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@cache
def everything():
    """Values and gradients of all elementwise functions, as one program."""

    def run(args):
        out = {}
        for name, xs in args.items():
            f = F.ELEMENTWISE[name]
            value = f(*xs)
            grads = []
            if value.dtype.kind == "f" and name != "score_if":
                reals = [i for i, x in enumerate(xs) if x.dtype.kind == "f"]

                def at(moved, f=f, xs=xs, reals=reals):
                    full = list(xs)
                    for i, m in zip(reals, moved, strict=True):
                        full[i] = m
                    return jnp.sum(f(*full))

                grads = jax.grad(at)([xs[i] for i in reals])
            out[name] = value, grads
        return out

    with jax.enable_x64(True):
        args = {n: tuple(map(jnp.asarray, a)) for n, (a, _) in ELEMENTWISE.items()}
        return jax.tree.map(np.asarray, quick(run)(args))


def test_every_elementwise_function_has_a_reference():
    assert set(ELEMENTWISE) == set(F.ELEMENTWISE)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_value_and_kind(name):
    args, reference = ELEMENTWISE[name]
    got, want = everything()[name][0], reference(*args)
    assert got.dtype == want.dtype
    # JAX's incomplete beta function is one minus the other tail where that converges faster
    atol = 1e-12 if name == "inc_beta" else 1e-13
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=atol)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_gradient(name):
    args, reference = ELEMENTWISE[name]
    grads = everything()[name][1]
    reals = [i for i, a in enumerate(args) if a.dtype.kind == "f"]
    for i, grad in zip(reals, grads, strict=False):
        h = 1e-4 * np.minimum(np.maximum(np.abs(args[i]), 0.02), 1)
        if name in ("logit", "log1m", "inv_Phi", "erf_inv", "inc_beta", "asin", "acos", "atanh"):
            h = np.minimum(h, 1e-3 * np.minimum(UNIT, 1 - UNIT))

        def shifted(k, i=i, h=h):
            moved = [a + k * h if j == i else a for j, a in enumerate(args)]
            return reference(*moved)

        want = (8 * (shifted(1) - shifted(-1)) - (shifted(2) - shifted(-2))) / (12 * h)
        np.testing.assert_allclose(grad, want, rtol=2e-7, atol=2e-8)


def test_powers_and_roots_at_zero():
    grad = quick(jax.vmap(jax.grad(F.ELEMENTWISE["pow"], (0, 1))))
    base, exponent = jnp.array([0.0, 0.0, 0.0, 0.0, -2.0]), jnp.array([2.0, 1.0, 0.5, 0.0, 3.0])
    by_base, by_exponent = grad(base, exponent)
    np.testing.assert_allclose(by_base, [0.0, 1.0, 0.0, 0.0, 12.0])
    np.testing.assert_allclose(by_exponent, [0.0, 0.0, 0.0, 0.0, 0.0])
    assert jax.grad(F.ELEMENTWISE["sqrt"])(0.0) == 0.0
    assert jax.grad(F.ELEMENTWISE["hypot"])(0.0, 0.0) == 0.0
    ints = F.ELEMENTWISE["pow"](jnp.array([-3, 2]), jnp.array([3, 5]))
    assert ints.dtype == jnp.int64 and ints.tolist() == [-27, 32]
    np.testing.assert_allclose(jax.grad(lambda x: F.ELEMENTWISE["pow"](x, 3))(-2.0), 12.0)


def test_logarithms_of_differences_at_their_edges():
    inf = jnp.inf
    a, b = jnp.array([2.0, -inf, 5.0, 1.0]), jnp.array([2.0, -inf, -inf, 1.5])
    got = F.ELEMENTWISE["log_diff_exp"](a, b)
    np.testing.assert_array_equal(got[:3], [-np.inf, -np.inf, 5.0])
    assert np.isnan(got[3])
    f = F.ELEMENTWISE["log1m_exp"]
    np.testing.assert_allclose(f(jnp.array([-1e-20, -1e3])), [np.log(1e-20), 0.0], atol=1e-300)
    np.testing.assert_array_equal(f(jnp.array([0.0, -jnp.inf])), [-np.inf, 0.0])
    np.testing.assert_allclose(F.ELEMENTWISE["log_Phi"](-40.0), sp.log_ndtr(-40.0), rtol=1e-12)
    np.testing.assert_array_equal(F.ELEMENTWISE["logit"](jnp.array([0.0, 1.0])), [-np.inf, np.inf])
    outside = F.ELEMENTWISE["lchoose"](jnp.array([3.0, 3.0]), jnp.array([4.0, -1.0]))
    np.testing.assert_array_equal(outside, [-np.inf, -np.inf])


def test_beta_function_against_exact_binomials():
    """1 / B(k + 1, n - k + 1) = (n + 1) C(n, k), in integers."""
    from math import comb

    cases = [(21, 9), (14, 2), (40, 20), (300, 7), (1000, 500), (8, 4), (15, 0)]
    n, k = np.array(cases).T
    exact = [
        -float(np.log((i + 1) * comb(i, j))) if i < 60 else -_log_int((i + 1) * comb(i, j))
        for i, j in cases
    ]
    np.testing.assert_allclose(lbeta(k + 1.0, n - k + 1.0), exact, rtol=2e-15 * 8)


def _log_int(n: int) -> float:
    shift = max(n.bit_length() - 60, 0)
    return float(np.log(float(n >> shift)) + shift * np.log(2.0))


def test_incomplete_beta_s_second_derivative():
    grad = jax.grad(betainc)
    x = (1.7, 2.9, 0.31)
    second = quick(jax.jacfwd(grad))(*map(jnp.asarray, x))
    h = 1e-5
    want = (float(grad(x[0] + h, *x[1:])) - float(grad(x[0] - h, *x[1:]))) / (2 * h)
    np.testing.assert_allclose(second, want, rtol=1e-6)


def test_normal_quantile_of_a_logarithm():
    z = jnp.array([-150.0, -40.0, -9.0, -6.3, -2.0, 0.0, 3.0])
    np.testing.assert_allclose(log_ndtri(sp.log_ndtr(np.asarray(z))), z, rtol=1e-12, atol=1e-12)
    slope = jax.vmap(jax.grad(log_ndtri))(jnp.asarray(sp.log_ndtr(np.asarray(z))))
    log_pdf = -0.5 * np.square(z) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(slope, np.exp(sp.log_ndtr(np.asarray(z)) - log_pdf), rtol=1e-10)


# ---------------------------------------------------------------------------------- reductions

CUBE = np.array(np.random.default_rng(3).normal(size=(2, 3, 4)))


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("sum", np.sum),
        ("prod", np.prod),
        ("mean", np.mean),
        ("var", lambda x, axis: np.var(x, axis=axis, ddof=1)),
        ("sd", lambda x, axis: np.std(x, axis=axis, ddof=1)),
        ("minimum", np.min),
        ("maximum", np.max),
        ("logsumexp", sp.logsumexp),
        ("any", lambda x, axis: np.any(x > 0.9, axis=axis)),
        ("all", lambda x, axis: np.all(x > -0.9, axis=axis)),
        ("count", lambda x, axis: np.sum(x > 0.3, axis=axis)),
    ],
)
def test_reduction(name, reference):
    bools = {"any": CUBE > 0.9, "all": CUBE > -0.9, "count": CUBE > 0.3}
    xs = jnp.asarray(bools.get(name, CUBE))
    for axes in [(2,), (1, 2)]:
        np.testing.assert_allclose(
            F.REDUCTIONS[name](xs, axes), reference(CUBE, axis=axes), rtol=1e-13
        )


def test_reductions_are_complete_and_keep_integers():
    from ppl.semantics.signatures import PRIMITIVES

    assert set(F.REDUCTIONS) == {n for n, r in PRIMITIVES.items() if r.kind == "reduction"}
    xs = jnp.array([[3, -2, 5]])
    for name, want in {"sum": 6, "prod": -30, "minimum": -2, "maximum": 5}.items():
        got = F.REDUCTIONS[name](xs, (1,))
        assert got.dtype == jnp.int64 and got.tolist() == [want]


def test_empty_reductions():
    xs = jnp.zeros((2, 0))
    for name, want in {
        "sum": 0.0,
        "prod": 1.0,
        "maximum": -np.inf,
        "minimum": np.inf,
        "logsumexp": -np.inf,
    }.items():
        np.testing.assert_array_equal(F.REDUCTIONS[name](xs, (1,)), [want] * 2)


def test_logsumexp_survives_minus_infinity():
    xs = jnp.array([[-jnp.inf, -jnp.inf], [-jnp.inf, 0.7], [1e4, 1e4 + 1]])
    value, grad = jax.value_and_grad(lambda x: jnp.sum(F.logsumexp(x, (-1,))[1:]))(xs)
    np.testing.assert_allclose(grad, [[0, 0], [0, 1], [1 / (1 + np.e), np.e / (1 + np.e)]])
    np.testing.assert_allclose(F.logsumexp(xs, (1,)), [-np.inf, 0.7, 1e4 + np.log1p(np.e)])
    dead = jax.grad(lambda x: F.logsumexp(x, (0,)))(jnp.full(3, -jnp.inf))
    np.testing.assert_array_equal(dead, 0.0)
    x = jnp.array([0.3, -1.0, 2.0])
    p = np.asarray(jax.nn.softmax(x))
    second = jax.hessian(lambda x: F.logsumexp(x, (0,)))(x)
    np.testing.assert_allclose(second, np.diag(p) - np.outer(p, p), atol=1e-15)


def test_extrema_share_no_gradient_with_their_empty_value():
    grad = jax.grad(lambda x: F.REDUCTIONS["maximum"](x, (0,)))(jnp.array([1.0, 4.0, 2.0]))
    np.testing.assert_array_equal(grad, [0.0, 1.0, 0.0])


# -------------------------------------------------------------------------------------- arrays

RNG = np.random.default_rng(11)
V = RNG.normal(size=(2, 3, 4))
M = RNG.normal(size=(2, 1, 4, 4)) + 2 * np.eye(4)
S = np.einsum("...ij,...kj->...ik", M, M) + np.eye(4)
TRIL = np.tril(M)

BATCHED = {
    "range": lambda f: (f(4), np.arange(4)),
    "range_from": lambda f: (f(-2, 3), np.arange(-2, 3)),
    "zeros": lambda f: (f(3), np.zeros(3, int)),
    "ones": lambda f: (f(3), np.ones(3, int)),
    "identity": lambda f: (f(3), np.eye(3, dtype=int)),
    "linspace": lambda f: (f(V[0, :, 0], 7, 5), np.linspace(V[0, :, 0], 7, 5, axis=-1)),
    "one_hot": lambda f: (f(np.array([2, 0]), 4), np.eye(4, dtype=int)[[2, 0]]),
    "cumsum": lambda f: (f(V), np.cumsum(V, -1)),
    "cumprod": lambda f: (f(V), np.cumprod(V, -1)),
    "diff": lambda f: (f(V), np.diff(V)),
    "sort": lambda f: (f(V), np.sort(V, -1)),
    "argmin": lambda f: (f(V), np.argmin(V, -1)),
    "argmax": lambda f: (f(V), np.argmax(V, -1)),
    "softmax": lambda f: (f(V), sp.softmax(V, -1)),
    "log_softmax": lambda f: (f(V), sp.log_softmax(V, -1)),
    "diag": lambda f: (f(V), V[..., None] * np.eye(4)),
    "diagonal": lambda f: (f(M), np.diagonal(M, axis1=-2, axis2=-1)),
    "add_diag": lambda f: (f(M, V[..., 0]), M + V[..., :1, None] * np.eye(4)),
    "cholesky": lambda f: (f(S), np.linalg.cholesky(S)),
    "solve": lambda f: (
        f(M, V),
        np.linalg.solve(np.broadcast_to(M, (2, 3, 4, 4)), V[..., None])[..., 0],
    ),
    "solve_triangular": lambda f: (
        f(M, V),
        np.linalg.solve(np.broadcast_to(TRIL, (2, 3, 4, 4)), V[..., None])[..., 0],
    ),
    "inverse": lambda f: (f(M), np.linalg.inv(M)),
    "log_det": lambda f: (f(M), np.linalg.slogdet(M)[1]),
}


@pytest.mark.parametrize("name", F.BATCHED)
def test_array_function(name):
    got, want = BATCHED[name](F.BATCHED[name])
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "shapes", [((1, 3), (2, 1)), ((2, 3), (2, 3)), ((1, 1), (2, 3)), ((2, 1), (1, 3)), ((), ())]
)
def test_solve_broadcasts_batches(shapes):
    a = RNG.normal(size=(*shapes[0], 4, 4)) + 3 * np.eye(4)
    b = RNG.normal(size=(*shapes[1], 4))
    x = F.BATCHED["solve"](a, b)
    full = np.broadcast_shapes(*shapes)
    assert x.shape == (*full, 4)
    np.testing.assert_allclose(
        np.einsum("...ij,...j->...i", a, x), np.broadcast_to(b, x.shape), atol=1e-12
    )


def test_einsum_rows():
    u, v = RNG.normal(size=3), RNG.normal(size=3)
    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4))
    np.testing.assert_allclose(np.einsum(F.EINSUM["dot"](1, 1), u, v), u @ v)
    np.testing.assert_allclose(np.einsum(F.EINSUM["outer"](1, 1), u, v), np.outer(u, v))
    np.testing.assert_allclose(np.einsum(F.EINSUM["trace"](2), b[:, :3]), np.trace(b[:, :3]))
    for x, y in [(u, v), (a, v), (u, b), (a, b)]:
        np.testing.assert_allclose(np.einsum(F.EINSUM["matmul"](x.ndim, y.ndim), x, y), x @ y)


def test_checked_casts():
    x = jnp.array([2.0, -1.0, 0.5, jnp.nan, jnp.inf])
    want = {
        "checked_int": [True, True, False, False, False],
        "checked_nat": [True, False, False, False, False],
        "checked_pos": [True, False, True, False, True],
        "checked_prob": [False, False, True, False, False],
    }
    for name, legal in want.items():
        value, ok = F.CHECKED[name](x)
        assert ok.tolist() == legal
        np.testing.assert_array_equal(
            np.asarray(value, float)[np.array(legal)], np.asarray(x)[np.array(legal)]
        )
        assert value.dtype.kind == ("i" if name in ("checked_int", "checked_nat") else "f")
