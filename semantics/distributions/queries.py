"""Questions about distributions, through the wrappers that NumPyro adds."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from numpyro.distributions import Distribution, ExpandedDistribution, Independent
from numpyro.distributions.transforms import IndependentTransform, Transform, biject_to

from ppl.semantics.diagnostics import fail
from ppl.semantics.distributions import bijections  # noqa: F401  registers the bijections
from ppl.semantics.distributions.law import Law


def is_discrete(dist: Distribution) -> bool:
    """Whether the density counts points, so that there are no unconstrained coordinates."""
    if isinstance(dist, (Independent, ExpandedDistribution)):
        return is_discrete(dist.base_dist)
    return dist.is_discrete


def is_finite(dist: Distribution) -> bool:
    """Whether the support is finite, so that `support_values` can list it."""
    if isinstance(dist, (Independent, ExpandedDistribution)):
        return is_finite(dist.base_dist)
    return isinstance(dist, Law) and dist.is_finite


def is_joint(dist: Distribution) -> bool:
    """Whether a draw is an array whose elements are not independent."""
    match dist:
        case Independent() | ExpandedDistribution():
            return is_joint(dist.base_dist)
        case Law(base=Distribution() as base) if dist.name == "iid":
            return is_joint(base)
    return bool(dist.event_shape)


def has_sampler(dist: Distribution) -> bool:
    """Whether draws can be made: false for base measures and what is built on them."""
    if isinstance(dist, (Independent, ExpandedDistribution)):
        return has_sampler(dist.base_dist)
    return dist.has_sampler if isinstance(dist, Law) else True


def valid(dist: Distribution) -> Array:
    """Whether the parameters are legal, over the batch. Draws made where they are not must be given
    weight 0; `log_prob` is -infinity there."""
    if isinstance(dist, ExpandedDistribution):
        return jnp.broadcast_to(valid(dist.base_dist), dist.batch_shape)
    if isinstance(dist, Independent):
        k = dist.reinterpreted_batch_ndims
        return jnp.all(valid(dist.base_dist), axis=tuple(range(-k, 0)))
    if isinstance(dist, Law):
        return jnp.broadcast_to(dist.valid, dist.batch_shape)
    return jnp.ones(dist.batch_shape, bool)


def bijection(dist: Distribution) -> Transform:
    """From unconstrained coordinates to the support. Raises E723 for a discrete distribution."""
    if isinstance(dist, Independent):
        return IndependentTransform(bijection(dist.base_dist), dist.reinterpreted_batch_ndims)
    if isinstance(dist, ExpandedDistribution):
        return bijection(dist.base_dist)
    if is_discrete(dist):
        raise fail(
            "E723",
            "a discrete distribution has no unconstrained coordinates",
            hint="sum the site out, or use a method that draws discrete sites",
        )
    assert dist.support is not None
    return biject_to(dist.support)


def unconstrained_shape(dist: Distribution) -> tuple[int, ...]:
    """The event shape of the unconstrained coordinates of one draw."""
    return tuple(bijection(dist).inverse_shape(dist.event_shape))
