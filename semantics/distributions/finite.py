"""The values of finite distributions, listed."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.distributions import Distribution, ExpandedDistribution, Independent

from ppl.semantics import jax_compat
from ppl.semantics.diagnostics import fail
from ppl.semantics.distributions.family import Member
from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.pieces import Pieces

#: values of one site beyond which it is not enumerated
MAX_VALUES = 10_000


def support_values(dist: Distribution) -> tuple[Array, Array]:
    """(values, log probabilities): shapes (K, *batch, *event) and (K, *batch).

    Every value of positive probability occurs once; some may have log probability -infinity, where
    the support varies over the batch. Raises E724 if the distribution is not finite, or has more
    than `MAX_VALUES` values, or their number is not known when tracing.
    """
    if isinstance(dist, Pieces):
        return dist.listed()
    values = _values(dist)
    if values.shape[0] > MAX_VALUES:
        raise _not_listed(f"{values.shape[0]} values are too many to list")
    shape = (values.shape[0], *dist.batch_shape, *dist.event_shape)
    values = jnp.broadcast_to(values, shape)
    if isinstance(dist, Member) and dist.family.log_table is not None:
        log_p = jnp.where(dist.valid, dist.family.log_table(*dist.parameters), -jnp.inf)
        missing = len(dist.batch_shape) - (log_p.ndim - 1)  # an expanded batch
        log_p = log_p.reshape(log_p.shape[:1] + (1,) * missing + log_p.shape[1:])
        return values, jnp.broadcast_to(log_p, shape)
    log_p = dist.log_prob(values)
    return values, jnp.where(_repeated(dist, values), -jnp.inf, log_p)


def _not_listed(message: str):
    return fail(
        "E724",
        message,
        hint="sum out only sites with few values, or draw them: importance, smc, mcmc",
    )


def _values(dist: Any) -> Array:
    """Candidate values (K, *batch or 1s, *event)."""
    from ppl.semantics.distributions.mixture import Mixture
    from ppl.semantics.distributions.point import Dirac
    from ppl.semantics.distributions.repeats import Repeats
    from ppl.semantics.distributions.truncate import Truncated

    lead = (1,) * len(dist.batch_shape)
    match dist:
        case ExpandedDistribution():
            inner = _values(dist.base_dist)
            missing = len(dist.batch_shape) - len(dist.base_dist.batch_shape)
            return inner.reshape((inner.shape[0],) + (1,) * missing + inner.shape[1:])
        case Independent():
            k = dist.reinterpreted_batch_ndims
            base = dist.base_dist
            inner = _values(base)
            each = jnp.broadcast_to(inner, (inner.shape[0], *base.batch_shape, *base.event_shape))
            return _combinations(each, 1 + len(base.batch_shape) - k, dist.event_shape[:k])
        case Repeats():
            base = dist.base
            inner = _values(base)
            each = jnp.broadcast_to(inner, (inner.shape[0], *base.batch_shape, *base.event_shape))
            each = jnp.expand_dims(each, 1 + len(base.batch_shape))
            each = jnp.broadcast_to(
                each, (*each.shape[: 1 + len(base.batch_shape)], dist.n, *base.event_shape)
            )
            return _combinations(each, 1 + len(base.batch_shape), (dist.n,))
        case Dirac():
            return dist.value[None]
        case Truncated(by_sums=False, range=(first, last)):
            if last - first >= MAX_VALUES:
                raise _not_listed(f"{last - first + 1} values are too many to list")
            return jnp.arange(first, last + 1).reshape((-1, *lead))
        case Truncated():
            return _values(dist.base.expand(dist.batch_shape))
        case Mixture():
            if isinstance(dist.components, tuple):
                parts = [_values(d.expand(dist.batch_shape)) for d in dist.components]
                parts = [
                    jnp.broadcast_to(p, (p.shape[0], *dist.batch_shape, *dist.event_shape))
                    for p in parts
                ]
                return jnp.concatenate(parts, 0)
            inner = _values(dist.components.expand((*dist.batch_shape, dist.size)))
            inner = jnp.broadcast_to(
                inner, (inner.shape[0], *dist.batch_shape, dist.size, *dist.event_shape)
            )
            inner = jnp.moveaxis(inner, 1 + len(dist.batch_shape), 1)
            return inner.reshape((-1, *inner.shape[2:]))
        case Law() if dist.is_finite:
            lower, upper = (_concrete(e) for e in (dist.support.lower, dist.support.upper))  # type: ignore[attr-defined]
            count = int(np.max(np.asarray(upper) - np.asarray(lower), initial=0)) + 1
            if count > MAX_VALUES:
                raise _not_listed(f"{count} values are too many to list")
            offsets = jnp.arange(count).reshape((-1, *lead))
            if dist.name.startswith("bernoulli"):
                return offsets == 1
            return offsets + jnp.asarray(lower)
        case _:
            name = getattr(dist, "name", type(dist).__name__)
            raise _not_listed(
                f"`{name}` has infinitely many values, or values that cannot be listed"
            )


def _concrete(bound: Any) -> Any:
    if not jax_compat.is_concrete(bound):
        raise _not_listed("the number of values depends on a random or batched quantity")
    return np.asarray(bound)


def _combinations(each: Array, at: int, sizes: tuple[int, ...]) -> Array:
    """All choices of one of K values for each of the elements along `sizes`, which start at
    dimension `at` of `each` (K, …)."""
    k, n = each.shape[0], math.prod(sizes)
    if k**n > MAX_VALUES:
        raise _not_listed(f"{k}^{n} combinations are too many to list")
    flat = each.reshape((*each.shape[:at], n, *each.shape[at + len(sizes) :]))
    digits = (
        np.stack(np.unravel_index(np.arange(k**n), (k,) * n), -1) if n else np.zeros((1, 0), int)
    )
    columns = [jnp.take(jnp.take(flat, i, axis=at), digits[:, i], axis=0) for i in range(n)]
    if not columns:
        return jnp.zeros((1, *each.shape[1:]), each.dtype)
    out = jnp.stack(columns, at)
    return out.reshape((k**n, *each.shape[1:]))


def _repeated(dist: Distribution, values: Array) -> Array:
    """Which candidates occur earlier in the list: only mixtures list any twice."""
    from ppl.semantics.distributions.mixture import Mixture

    batch = values.ndim - len(dist.event_shape)
    if not _contains(dist, Mixture):
        return jnp.zeros(values.shape[:batch], bool)
    same = values[:, None] == values[None]
    same = jnp.all(same, axis=tuple(range(batch + 1, same.ndim)))
    earlier = np.tri(values.shape[0], k=-1, dtype=bool)
    return jnp.any(same & earlier.reshape(*earlier.shape, *(1,) * (batch - 1)), axis=1)


def _contains(dist: Any, kind: type) -> bool:
    if isinstance(dist, kind):
        return True
    inner = getattr(dist, "base_dist", getattr(dist, "base", None))
    return inner is not None and _contains(inner, kind)
