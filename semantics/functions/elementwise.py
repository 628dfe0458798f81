"""Elementwise functions: broadcasting, numerically careful, differentiable where the maths is.

Integer kinds stay integers, comparisons are bool, everything else is real. At isolated points where
a derivative is infinite but a zero subgradient exists or the point is the end of the domain (sqrt
and powers at 0, hypot at the origin) the derivative is 0, so that distances between coinciding
points do not turn gradients into NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
from jax import Array
from jax.typing import ArrayLike

from ppl.semantics.functions.casts import integer, real
from ppl.semantics.functions.logarithms import log_sigmoid, softplus
from ppl.semantics.functions.special import betainc, lbeta, lgamma


@jax.custom_jvp
def sqrt(x: Array) -> Array:
    """Square root, with derivative 0 at 0."""
    return jnp.sqrt(x)


@sqrt.defjvp
def _sqrt_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    positive = x > 0
    return sqrt(x), jnp.where(positive, 0.5 / sqrt(jnp.where(positive, x, 1.0)), 0.0) * t


@jax.custom_jvp
def _real_pow(x: Array, y: Array) -> Array:
    return jnp.power(x, y)


@_real_pow.defjvp
def _real_pow_jvp(primals, tangents):
    (x, y), (tx, ty) = primals, tangents
    out = _real_pow(x, y)
    # d/dx: y x^(y-1) is 0 for y = 0, and infinite at x = 0 for y < 1
    # d/dy: x^y log x vanishes at x = 0
    smooth = (y != 0) & ((x != 0) | (y >= 1))
    dx = jnp.where(smooth, y * _real_pow(jnp.where(smooth, x, 1.0), y - 1), 0.0)
    dy = jnp.where(x > 0, out * jnp.log(jnp.where(x > 0, x, 1.0)), 0.0)
    return out, dx * tx + dy * ty


def power(x: ArrayLike, y: ArrayLike) -> Array:
    """x ^ y; an integer only for two integers."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    if _integral(x) and _integral(y):
        return jnp.power(integer(x), integer(y))
    if _integral(y):  # exact, and differentiable in x of either sign
        return jnp.power(x, integer(y))
    x, y = jnp.broadcast_arrays(*_promoted(x, y))
    return _real_pow(x, y)


@jax.custom_jvp
def log1m_exp(x: Array) -> Array:
    """log(1 - e^x) for x <= 0; NaN above. Mächler (2012), with the switch at -log 2."""
    near = x > -0.6931471805599453
    return jnp.where(
        near,
        jnp.log(-jnp.expm1(jnp.where(near, x, -1.0))),
        jnp.log1p(-jnp.exp(jnp.where(near, -1.0, x))),
    )


@log1m_exp.defjvp
def _log1m_exp_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return log1m_exp(x), -t / jnp.expm1(-x)


def log_diff_exp(a: ArrayLike, b: ArrayLike) -> Array:
    """log(e^a - e^b) for a >= b; NaN below."""
    a, b = _promoted(a, b)
    apart = a != b
    d = log1m_exp(jnp.where(apart, b, -1.0) - jnp.where(apart, a, 0.0))
    return jnp.where(apart, a + d, jnp.where(jnp.isnan(a), jnp.nan, -jnp.inf))


def hypot(a: ArrayLike, b: ArrayLike) -> Array:
    """sqrt(a^2 + b^2) without overflow, with derivative 0 at the origin."""
    a, b = _promoted(a, b)
    scale = jax.lax.stop_gradient(jnp.maximum(jnp.abs(a), jnp.abs(b)))
    scale = jnp.where((scale > 0) & jnp.isfinite(scale), scale, 1.0)
    return scale * sqrt(jnp.square(a / scale) + jnp.square(b / scale))


def log_choose(n: ArrayLike, k: ArrayLike) -> Array:
    """log of the binomial coefficient; -infinity unless 0 <= k <= n."""
    n, k = _promoted(n, k)
    inside = (k >= 0) & (k <= n)
    n, k = jnp.where(inside, n, 1.0), jnp.where(inside, k, 0.0)
    return jnp.where(inside, -jnp.log1p(n) - lbeta(n - k + 1, k + 1), -jnp.inf)


def _integral(x: Array) -> bool:
    return not jnp.issubdtype(x.dtype, jnp.floating)


def _promoted(*xs: ArrayLike) -> tuple[Array, ...]:
    """The arguments as reals of one precision."""
    arrays = [jnp.asarray(x) for x in xs]
    dtype = jnp.result_type(*[a for a in arrays if not _integral(a)] or [float])
    return tuple(a.astype(dtype) for a in arrays)


def _on_reals(f: Callable[..., Array]) -> Callable[..., Array]:
    return lambda *xs: f(*_promoted(*xs))


def _to_integer(f: Callable[[Array], Array]) -> Callable[[ArrayLike], Array]:
    def apply(x: ArrayLike) -> Array:
        x = jnp.asarray(x)
        return integer(x) if _integral(x) else f(x).astype(int)

    return apply


def _keeping_kind(f: Callable[..., Array]) -> Callable[..., Array]:
    """`f` of ints is an int; otherwise all are made real, in the precision of the real ones."""

    def apply(*xs: ArrayLike) -> Array:
        arrays = [jnp.asarray(x) for x in xs]
        if all(map(_integral, arrays)):
            return f(*map(integer, arrays))
        return f(*_promoted(*arrays))

    return apply


ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "add": _keeping_kind(jnp.add),
    "sub": _keeping_kind(jnp.subtract),
    "mul": _keeping_kind(jnp.multiply),
    "div": _on_reals(jnp.divide),
    "floordiv": _keeping_kind(jnp.floor_divide),
    "mod": _keeping_kind(jnp.remainder),
    "pow": power,
    "neg": _keeping_kind(jnp.negative),
    "lt": _keeping_kind(jnp.less),
    "gt": _keeping_kind(jnp.greater),
    "le": _keeping_kind(jnp.less_equal),
    "ge": _keeping_kind(jnp.greater_equal),
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "and": jnp.logical_and,
    "or": jnp.logical_or,
    "not": jnp.logical_not,
    "exp": _on_reals(jnp.exp),
    "expm1": _on_reals(jnp.expm1),
    "log": _on_reals(jnp.log),
    "log1p": _on_reals(jnp.log1p),
    "log1m": _on_reals(lambda x: jnp.log1p(-x)),
    "log1p_exp": softplus,
    "log1m_exp": _on_reals(log1m_exp),
    "log_diff_exp": log_diff_exp,
    "log_sum_exp": _on_reals(jnp.logaddexp),
    "sqrt": _on_reals(sqrt),
    "square": _keeping_kind(jnp.square),
    "abs": _keeping_kind(jnp.abs),
    "sign": lambda x: jnp.sign(jnp.asarray(x)).astype(int),
    "floor": _to_integer(jnp.floor),
    "ceil": _to_integer(jnp.ceil),
    "round": _to_integer(jnp.round),
    "trunc": _to_integer(jnp.trunc),
    "sin": _on_reals(jnp.sin),
    "cos": _on_reals(jnp.cos),
    "tan": _on_reals(jnp.tan),
    "asin": _on_reals(jnp.arcsin),
    "acos": _on_reals(jnp.arccos),
    "atan": _on_reals(jnp.arctan),
    "atan2": _on_reals(jnp.arctan2),
    "sinh": _on_reals(jnp.sinh),
    "cosh": _on_reals(jnp.cosh),
    "tanh": _on_reals(jnp.tanh),
    "asinh": _on_reals(jnp.arcsinh),
    "acosh": _on_reals(jnp.arccosh),
    "atanh": _on_reals(jnp.arctanh),
    "sigmoid": _on_reals(jax.nn.sigmoid),
    "logit": _on_reals(lambda p: jnp.log(p) - jnp.log1p(-p)),
    "softplus": softplus,
    "log_sigmoid": log_sigmoid,
    "lgamma": _on_reals(lgamma),
    "digamma": _on_reals(jsp.digamma),
    "trigamma": _on_reals(lambda x: jsp.polygamma(1, x)),
    "lbeta": _on_reals(lbeta),
    "lchoose": log_choose,
    "lfactorial": _on_reals(lambda n: lgamma(n + 1)),
    "erf": _on_reals(jsp.erf),
    "erfc": _on_reals(jsp.erfc),
    "erf_inv": _on_reals(jsp.erfinv),
    "Phi": _on_reals(jsp.ndtr),
    "inv_Phi": _on_reals(jsp.ndtri),
    "log_Phi": _on_reals(jsp.log_ndtr),
    "gamma_p": _on_reals(jsp.gammainc),
    "gamma_q": _on_reals(jsp.gammaincc),
    "inc_beta": _on_reals(betainc),
    "bessel_i0e": _on_reals(jsp.i0e),
    "bessel_i1e": _on_reals(jsp.i1e),
    "min": _keeping_kind(jnp.minimum),
    "max": _keeping_kind(jnp.maximum),
    "hypot": hypot,
    "indicator": lambda c: jnp.asarray(c).astype(int),
    "to_real": real,
    "score_if": lambda c: jnp.where(c, 0.0, -jnp.inf),
}
