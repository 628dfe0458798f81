"""The distributions of `signatures.PRIMITIVES`, as NumPyro distributions (see `law.Law`).

`make(name, args)` is a distribution of a row; the combinators and base measures have functions of
their own. Arguments carry broadcasting batch dimensions before the event dimensions of their row.
"""

from ppl.semantics.distributions.base_measures import flat, flat_ordered, flat_simplex
from ppl.semantics.distributions.finite import support_values
from ppl.semantics.distributions.law import Law
from ppl.semantics.distributions.mixture import mixture, mixture_general
from ppl.semantics.distributions.point import dirac
from ppl.semantics.distributions.queries import (
    bijection,
    has_sampler,
    is_discrete,
    is_finite,
    is_joint,
    unconstrained_shape,
    valid,
)
from ppl.semantics.distributions.repeats import iid, product
from ppl.semantics.distributions.table import FAMILIES, SUPPORTS, make
from ppl.semantics.distributions.transformed import transform
from ppl.semantics.distributions.truncate import truncate

__all__ = [
    "FAMILIES",
    "SUPPORTS",
    "Law",
    "bijection",
    "dirac",
    "flat",
    "flat_ordered",
    "flat_simplex",
    "has_sampler",
    "iid",
    "is_discrete",
    "is_finite",
    "is_joint",
    "make",
    "mixture",
    "mixture_general",
    "product",
    "support_values",
    "transform",
    "truncate",
    "unconstrained_shape",
    "valid",
]
