"""Functions of whole vectors and matrices, over leading batch dimensions.

Arguments carry the same number of batch dimensions, of equal size or 1, before their event
dimensions. A failed factorisation gives NaN, which no density survives (it becomes -infinity).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from ppl.semantics.functions.casts import integer, real


def linear_solve(solver: Callable[[Array, Array], Array], a: ArrayLike, b: ArrayLike) -> Array:
    """`solver(matrix, columns)` for matrices a (…, n, n) and vectors b (…, n).

    Batch dimensions along which the matrix does not vary become columns, so that one factorisation
    serves all of them.
    """
    a, b = real(a), real(b)
    batch = b.ndim - 1
    shared = [i for i in range(batch) if a.shape[i] == 1]
    own = [i for i in range(batch) if a.shape[i] != 1]
    own_shape = tuple(a.shape[i] for i in own)
    shared_shape = tuple(b.shape[i] for i in shared)
    n = b.shape[-1]
    b = jnp.transpose(b, (*own, batch, *shared))
    columns = jnp.broadcast_to(b, (*own_shape, n, *shared_shape))
    columns = columns.reshape(*own_shape, n, math.prod(shared_shape))
    x = solver(a.reshape(*own_shape, n, n), columns)
    x = jnp.moveaxis(x.reshape(*own_shape, n, *shared_shape), len(own), -1)
    return jnp.transpose(x, (*(sorted(range(batch), key=(own + shared).__getitem__)), batch))


def solve(a: ArrayLike, b: ArrayLike) -> Array:
    """x with a x = b; NaN or infinite where a is singular."""
    return linear_solve(jnp.linalg.solve, a, b)


def solve_triangular(l: ArrayLike, b: ArrayLike) -> Array:  # noqa: E741
    """x with l x = b; only the lower triangle of l is read."""
    return linear_solve(lambda m, c: jax.scipy.linalg.solve_triangular(m, c, lower=True), l, b)


def diag(d: ArrayLike) -> Array:
    d = jnp.asarray(d)
    eye = jnp.eye(d.shape[-1], dtype=bool)
    return jnp.where(eye, d[..., :, None], jnp.zeros((), d.dtype))


def add_diag(a: ArrayLike, d: ArrayLike) -> Array:
    a, d = real(a), real(d)
    return a + d[..., None, None] * jnp.eye(a.shape[-1], dtype=d.dtype)


def linspace(lo: ArrayLike, hi: ArrayLike, n: int) -> Array:
    """n evenly spaced numbers; both ends are exact; n = 1 gives lo."""
    lo, hi = real(lo)[..., None], real(hi)[..., None]
    step = jnp.arange(n) / max(n - 1, 1)
    return jnp.where(step < 0.5, lo + step * (hi - lo), hi - (1 - step) * (hi - lo))


def _along_last(f: Callable[..., Array], **options) -> Callable[[ArrayLike], Array]:
    return lambda xs: f(real(xs), axis=-1, **options)


BATCHED: dict[str, Callable[..., Array]] = {
    "range": lambda n: jnp.arange(n),
    "range_from": lambda lo, hi: jnp.arange(lo, hi),
    "zeros": lambda n: jnp.zeros(n, int),
    "ones": lambda n: jnp.ones(n, int),
    "identity": lambda n: jnp.eye(n, dtype=int),
    "linspace": linspace,
    "one_hot": lambda i, n: jax.nn.one_hot(integer(i), n, dtype=int),
    "cumsum": _along_last(jnp.cumsum),
    "cumprod": _along_last(jnp.cumprod),
    "diff": _along_last(jnp.diff),
    "sort": _along_last(jnp.sort),
    "argmin": _along_last(jnp.argmin),
    "argmax": _along_last(jnp.argmax),
    "softmax": _along_last(jax.nn.softmax),
    "log_softmax": _along_last(jax.nn.log_softmax),
    "diag": diag,
    "diagonal": lambda a: jnp.diagonal(jnp.asarray(a), axis1=-2, axis2=-1),
    "add_diag": add_diag,
    "cholesky": lambda a: jnp.linalg.cholesky(real(a)),
    "solve": solve,
    "solve_triangular": solve_triangular,
    "inverse": lambda a: jnp.linalg.inv(real(a)),
    "log_det": lambda a: jnp.linalg.slogdet(real(a))[1],
}

_MATMUL = {(1, 1): "i,i->", (2, 1): "ij,j->i", (1, 2): "i,ij->j", (2, 2): "ij,jk->ik"}

#: the event subscripts of a row, by the ranks of its arguments
EINSUM: dict[str, Callable[..., str]] = {
    "dot": lambda *ranks: "i,i->",
    "outer": lambda *ranks: "i,j->ij",
    "trace": lambda *ranks: "ii->",
    "matmul": lambda *ranks: _MATMUL[ranks],
}

#: rows that only select or rearrange dimensions: the evaluator's own
STRUCTURAL = frozenset(
    "index slice columns columns_slice zip enumerate concat reverse repeat transpose flatten "
    "len".split()
)
