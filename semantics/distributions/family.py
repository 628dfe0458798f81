"""A family of distributions as a few pure functions, and its members.

`Family` is one row: how parameters are checked, the log density, a sampler, and for laws on the
line the two tails and the quantile in logarithms. `Member` is a distribution of a family.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.distributions import constraints

from ppl.semantics.distributions.invert import invert
from ppl.semantics.distributions.law import Checks, Law
from ppl.semantics.distributions.supports import Integers, Interval
from ppl.semantics.functions.elementwise import log1m_exp
from ppl.semantics.jax_compat import is_concrete

Function = Callable[..., Any]


@dataclass(frozen=True)
class Kind:
    """What a parameter must satisfy, event by event, and a stand-in where it does not."""

    rank: int
    ok: Callable[[Array], Array]
    stand_in: Callable[[tuple[int, ...]], Any]
    integer: bool = False


def _scalar(ok: Callable[[Array], Array], value: float, integer: bool = False) -> Kind:
    return Kind(0, ok, lambda _: value, integer)


def _every(ok: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: jnp.all(ok(x), -1)


KINDS: dict[str, Kind] = {
    "real": _scalar(jnp.isfinite, 0),
    "pos": _scalar(lambda x: (x > 0) & (x < jnp.inf), 1),
    "nonneg": _scalar(lambda x: (x >= 0) & (x < jnp.inf), 1),
    "prob": _scalar(lambda x: (x >= 0) & (x <= 1), 0.5),
    "positive_prob": _scalar(lambda x: (x > 0) & (x <= 1), 0.5),
    "nat": _scalar(lambda x: x >= 0, 1, True),
    "int": _scalar(lambda x: jnp.ones_like(x, bool), 0, True),
    "vector": Kind(1, _every(jnp.isfinite), lambda s: 0),
    "pos_vector": Kind(1, _every(lambda x: (x > 0) & (x < jnp.inf)), lambda s: 1),
    "weights": Kind(
        1,
        lambda x: jnp.all((x >= 0) & (x < jnp.inf), -1) & jnp.any(x > 0, -1),
        lambda s: 1,
    ),
    "logits": Kind(
        1,
        lambda x: jnp.all(x < jnp.inf, -1) & jnp.any(x > -jnp.inf, -1),
        lambda s: 0,
    ),
    "increasing": Kind(
        1,
        lambda x: jnp.all(jnp.isfinite(x), -1) & jnp.all(jnp.diff(x) > 0, -1),
        lambda s: jnp.arange(s[-1]),
    ),
    "factor": Kind(
        2,
        lambda x: (
            jnp.all(jnp.isfinite(x), (-2, -1))
            & jnp.all(jnp.diagonal(x, axis1=-2, axis2=-1) > 0, -1)
        ),
        lambda s: jnp.eye(s[-1]),
    ),
}


@dataclass(frozen=True)
class Family:
    """Functions take the point first, then static arguments, then parameters of `kinds`.

    `canonical` maps the arguments of the signature to parameters, so that several rows share a
    family and a matrix is factorised once. `extent` gives the length n of an index's range.
    """

    kinds: tuple[str, ...]
    log_density: Function
    #: (key, shape, *static, *parameters) -> draws; by `quantile` if None
    sample: Function | None = None
    log_cdf: Function | None = None
    log_sf: Function | None = None
    #: (log p, log(1 - p), *parameters) -> x; found numerically if None
    quantile: Function | None = None
    canonical: Function | None = None
    #: joint condition on the parameters
    legal: Function | None = None
    event: Function = lambda *parameters: ()
    statics: int = 0
    #: log probabilities of all values in order, leading, where there is a shorter way to them
    log_table: Function | None = None


class Member(Law):
    """A distribution of a family.

    `parameters` are canonical and legal (stand-ins replace illegal ones); `ok` says which were.
    """

    pytree_data_fields = ("parameters", "ok", "_support")
    pytree_aux_fields = ("family", "static", "name", "is_finite", "checks")

    def __init__(
        self,
        name: str,
        family: Family,
        args: tuple[Any, ...],
        support: Callable[..., constraints.Constraint],
        *,
        finite: bool = False,
        checks: Checks = "all",
    ):
        self.checks: Checks = checks
        self.name, self.family, self.is_finite = name, family, finite
        self.static = tuple(int(a) for a in args[: family.statics])
        given = args[family.statics :]
        if family.canonical:
            given = family.canonical(*given)
        kinds = [KINDS[k] for k in family.kinds]
        self.parameters, self.ok = _legalised(family, kinds, given, check=checks == "all")
        self._support = support(*self.static, *self.parameters)
        batches = [
            jnp.shape(p)[: jnp.ndim(p) - k.rank]
            for p, k in zip(self.parameters, kinds, strict=True)
        ]
        super().__init__(
            jnp.broadcast_shapes(*batches), family.event(*self.static, *self.parameters)
        )

    @property
    def support(self) -> constraints.Constraint:
        return self._support

    @property
    def valid(self) -> Array:
        return self.ok

    def _call(self, f: Function, *leading: Any) -> Any:
        return f(*leading, *self.static, *self.parameters)

    def _numeric(self, x: Any) -> Array:
        """`x` in the precision of the parameters, or its own where that is higher."""
        x = jnp.asarray(x)
        dtypes = [p.dtype for p in (*self.parameters, x) if jnp.issubdtype(p.dtype, jnp.floating)]
        return x.astype(jnp.result_type(*dtypes or [float]))

    def _log_density(self, x: Array) -> Array:
        return self._call(self.family.log_density, self._numeric(x))

    def _draw(self, key: Array, shape: tuple[int, ...]) -> Array:
        if self.family.sample is not None:
            return self._call(self.family.sample, key, shape)
        dtype = jnp.result_type(
            *[p.dtype for p in self.parameters if p.dtype.kind == "f"] or [float]
        )
        u = jax.random.uniform(key, shape, dtype, minval=jnp.finfo(dtype).tiny)
        return self.quantile(jnp.log(u), jnp.log1p(-u))

    # ------------------------------------------------------------------------ laws on the line

    @property
    def has_cdf(self) -> bool:
        return self.family.log_cdf is not None or self.family.log_sf is not None

    def log_cdf(self, x: Any) -> Array:
        return self._tail(
            x, self.family.log_cdf, self.family.log_sf, at_lower=-jnp.inf, at_upper=0.0
        )

    def log_sf(self, x: Any) -> Array:
        return self._tail(
            x, self.family.log_sf, self.family.log_cdf, at_lower=0.0, at_upper=-jnp.inf
        )

    def _tail(
        self,
        x: Any,
        f: Function | None,
        other: Function | None,
        *,
        at_lower: float,
        at_upper: float,
    ):
        if not self.has_cdf:
            return super().log_cdf(x)  # refuses
        x = self._numeric(x)
        lower, upper = ends(self._support)
        if self.is_discrete:
            x = jnp.floor(x)
            below, above = x < lower, x >= upper
        else:
            below, above = x <= lower, x >= upper
        inside = ~below & ~above & self.ok & ~jnp.isnan(x)
        stand_in = self._support.feasible_like(
            jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, inside.shape))
        )
        x = jnp.where(inside, x, jax.lax.stop_gradient(stand_in).astype(x.dtype))
        if f is not None:
            out = self._call(f, x)
        else:
            out = log1m_exp(jnp.minimum(self._call(other, x), 0.0))  # type: ignore[arg-type]
        out = jnp.where(
            below, at_lower, jnp.where(above, at_upper, jnp.where(inside, out, jnp.nan))
        )
        return jnp.where(self.ok, out, -jnp.inf)

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        if self.family.quantile is not None:
            x = self._call(self.family.quantile, log_p, log_q)
        elif self.has_cdf:
            x = invert(self, log_p, log_q)
        else:
            return super().quantile(log_p, log_q)
        if self.is_discrete:
            return x.astype(int)
        lower, upper = ends(self._support)
        return jnp.clip(x, lower, upper)


def ends(support: constraints.Constraint) -> tuple[Any, Any]:
    """The ends of a support on the line."""
    assert isinstance(support, (Interval, Integers)), support
    return support.lower, support.upper


def _legalised(
    family: Family, kinds: list[Kind], given: tuple[Any, ...], *, check: bool
) -> tuple[tuple[Array, ...], Array]:
    """Parameters in one precision, illegal ones replaced (if checked); and which were legal."""
    arrays = [_array(a) for a in given]
    floats = [a.dtype for a in arrays if jnp.issubdtype(a.dtype, jnp.floating)]
    dtype = jnp.result_type(*floats or [float])
    arrays = [
        a if k.integer and not jnp.issubdtype(a.dtype, jnp.floating) else a.astype(dtype)
        for a, k in zip(arrays, kinds, strict=True)
    ]
    ok = jnp.ones((), bool)
    if not check:
        return tuple(arrays), ok
    for a, k in zip(arrays, kinds, strict=True):
        ok = ok & k.ok(a)
    if family.legal:
        ok = ok & family.legal(*arrays)
    ok = jax.lax.stop_gradient(ok)
    legal = tuple(
        _count(a, k)
        if k.integer
        else jnp.where(ok[(...,) + (None,) * k.rank], a, jnp.asarray(k.stand_in(a.shape), a.dtype))
        for a, k in zip(arrays, kinds, strict=True)
    )
    return legal, ok


def _array(a: Any) -> Array:
    """`a` as an array; one that is known while tracing stays known."""
    with jax.ensure_compile_time_eval() if is_concrete(a) else nullcontext():
        return jnp.asarray(a)


def _count(a: Array, kind: Kind) -> Array:
    """A legal integer, judged by itself: one that is known while tracing stays known, since it may
    say how many values there are."""
    with jax.ensure_compile_time_eval() if is_concrete(a) else nullcontext():
        return jnp.where(kind.ok(a), a, jnp.asarray(kind.stand_in(a.shape), a.dtype))
