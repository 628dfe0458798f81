"""Distributions of the language as NumPyro distributions over named axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as nd

from ppl.semantics import distributions as D
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.distributions.law import Checks
from ppl.semantics.signatures import PRIMITIVES, Distribution
from ppl.semantics.xla.axes import Arr, Axes, Axis, align, full, narrow, union
from ppl.semantics.xla.sizes import require_observed
from ppl.semantics.xla.values import (
    Dist,
    RValue,
    Seq,
    Union,
    length,
    open_array,
    released,
    to_arr,
    varies_along,
)

Apply = Callable[..., RValue]

COMBINATORS = ("mixture", "truncate", "iid", "transform", "dirac")


@cache
def float_params(name: str) -> tuple[bool, ...]:
    """Which parameters of an elementary distribution are held in floating point."""
    text = PRIMITIVES[name].signatures[-1].rpartition("->")[0].strip()
    parts = text[1:-1] if text.startswith("(") else text
    return tuple(not any(k in p for k in ("nat", "int", "bool")) for p in parts.split(","))


def event_rank(dist: Dist) -> int:
    """Dimensions of one draw."""
    item = dist.type.item
    return T.rank(item)


def realise(
    dist: RValue, axes: Axes, apply: Apply, span: Span | None = None, *, checks: Checks = "all"
) -> nd.Distribution:
    """The NumPyro distribution whose batch dimensions are those of `axes` (or 1).

    `checks` is how much its `log_prob` guards (see `Law`): a differentiated run, which treats NaN
    as impossible at its end, needs no stand-ins for illegal parameters.
    """
    inner: Checks = "support" if checks == "none" else checks
    if isinstance(dist, Union):
        raise fail(
            "E705",
            "a distribution chosen at random among different families inside another distribution",
            span=span,
            hint="choose with `if` outside, or write a `mixture`",
        )
    match dist.name:
        case "mixture":
            return _mixture(dist, axes, apply, span, inner)
        case "truncate":
            base, lower, upper = dist.args
            bounds = (_parameter(b, axes, real=True, rank=0) for b in (lower, upper))
            return D.truncate(realise(base, axes, apply, span), *bounds)
        case "iid":
            n, base = dist.args
            return D.iid(realise(base, axes, apply, span, checks=checks), n.value)
        case "transform":
            base, forward, backward = dist.args
            lift = lambda f: lambda x: _applied(f, x, axes, apply)  # noqa: E731
            return D.transform(realise(base, axes, apply, span), lift(forward), lift(backward))
        case "dirac" if not _numeric(dist.type.item):
            raise fail(
                "E706",
                f"a distribution of `{dist.type.item}` inside another one does not run on XLA",
                span=span,
                hint="draw an index, and choose the value by it: `xs[k]`",
            )
        case "dirac":
            x = to_arr(dist.args[0])
            return D.dirac(align(x, axes), event_dim=x.event_rank)
        case _:
            return _elementary(dist, axes, checks)


def _applied(f: RValue, x: Any, axes: Axes, apply: Apply) -> Any:
    """A function of the program at data whose last dimensions are those of `axes` (or 1); more
    may lead."""
    lead = jnp.ndim(x) - len(axes)
    if lead < 0:
        x, lead = jnp.reshape(x, (1,) * -lead + jnp.shape(x)), 0
    out = to_arr(apply(f, narrow(jnp.moveaxis(x, range(lead), range(-lead, 0)), axes)))
    return jnp.moveaxis(align(out, axes, lead), range(len(axes), len(axes) + lead), range(lead))


def _numeric(t: T.Type) -> bool:
    while isinstance(t, T.Array):
        t = t.item
    return T.is_number(t) or t == T.BOOL


def _elementary(dist: Dist, axes: Axes, checks: Checks) -> nd.Distribution:
    row = PRIMITIVES[dist.name]
    assert isinstance(row, Distribution)
    product = event_rank(dist) if row.kind == "elementwise" else 0
    made = _rows(dist, axes, checks, product)
    return D.product(made, product) if product else made


def _rows(dist: Dist, axes: Axes, checks: Checks, product: int) -> nd.Distribution:
    """An elementary distribution with `product` dimensions of independent elements in its batch."""
    row = PRIMITIVES[dist.name]
    assert isinstance(row, Distribution)
    args = []
    for k, (arg, real) in enumerate(zip(dist.args, float_params(dist.name), strict=True)):
        rank = product if row.kind == "elementwise" else None
        args.append(
            released(arg) if k in row.static else _parameter(arg, axes, real=real, rank=rank)
        )
    return D.make(dist.name, tuple(args), checks=checks)


def _parameter(arg: RValue, axes: Axes, *, real: bool, rank: int | None) -> Any:
    """A parameter, its first dimensions those of `axes` (or 1)."""
    arg = released(arg)
    if isinstance(arg, (bool, int, float)):
        # a constant stays one while tracing: it may say how many values there are
        data = np.asarray(arg, jnp.result_type(float) if real else None)
        return data.reshape((1,) * (len(axes) + (rank or 0)))
    data = align(to_arr(arg), axes, rank)
    return jnp.asarray(data, jnp.result_type(float)) if real else data


def _mixture(
    dist: Dist, axes: Axes, apply: Apply, span: Span | None, checks: Checks
) -> nd.Distribution:
    weights, components = dist.args
    k = length(components)
    inner = Axis(1 + max((a.order for a in axes), default=0), "component", k)
    w = align(to_arr(weights), axes)
    opened = open_array(components, inner)
    if not isinstance(opened, Union):
        return D.mixture(w, realise(opened, (*axes, inner), apply, span, checks=checks))
    return _mixture_of_families(w, components.items, k, axes, apply, span, checks)


def _mixture_of_families(
    weights: Any, chosen: Union, k: int, axes: Axes, apply: Apply, span: Span | None, checks: Checks
) -> nd.Distribution:
    """Every component of every family it may be of, with weight 0 where it is of another."""
    from ppl.semantics.xla.arrays import index

    tag, parts, shares = chosen.tag, [], []
    for t, option in enumerate(chosen.options):
        for i in range(k):
            if isinstance(tag.data, np.ndarray) and tag.data[i] != t:
                continue
            own = index(Seq(option, k), i)
            parts.append(realise(own, axes, apply, span, checks=checks))
            share = weights[..., i]
            if not isinstance(tag.data, np.ndarray):
                share = jnp.where(align(to_arr(index(tag, i)), axes) == t, share, 0.0)
            shares.append(share)
    return D.mixture_general(jnp.stack(jnp.broadcast_arrays(*shares), -1), parts)


def log_prob(
    dist: RValue, x: RValue, apply: Apply, span: Span | None = None, *, checks: Checks = "all"
) -> Arr:
    """The log density of `dist` at `x`, varying along the axes of either."""
    value = to_arr(x)
    axes = union(varies_along(dist), value.axes)
    made = realise(dist, axes, apply, span, checks=checks)
    rank = event_rank(dist)
    if rank and PRIMITIVES[dist.name].kind != "elementwise":
        require_observed(tuple(made.event_shape), tuple(value.event_shape), span)
    lp = made.log_prob(align(value, axes, rank))
    return full(lp, axes)


def log_prob_each(dist: RValue, x: RValue, apply: Apply, span: Span | None = None) -> Arr:
    """As `log_prob`, but of each independent element of an array: its event dimensions are those
    of the array, less those of one element."""
    value = to_arr(x)
    axes = union(varies_along(dist), value.axes)
    rank = event_rank(dist)
    elements: list[Axis] = []
    while isinstance(dist, Dist) and dist.name == "iid":
        n, dist = dist.args
        last = max((a.order for a in (*axes, *elements)), default=0)
        elements.append(Axis(1 + last, f"element{len(elements)}", n.value))
    within = (*axes, *elements)
    product = 0
    if isinstance(dist, Dist) and PRIMITIVES[dist.name].kind == "elementwise":
        product = event_rank(dist)
        made = _rows(dist, within, "all", product)
    else:
        made = realise(dist, within, apply, span)
    lp = made.log_prob(align(value, axes, rank))
    shape = value.event_shape[: len(elements) + product]
    return Arr(jnp.broadcast_to(lp, (*(a.size for a in axes), *shape)), axes)
