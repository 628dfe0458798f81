"""Run a function that knows nothing of named axes once per lane, by `vmap` over each axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics.xla.axes import Arr, refuse_closed, union
from ppl.semantics.xla.values import RValue, to_arr


def lanes(f: Callable[..., RValue], *args: RValue) -> RValue:
    """`f` of values without axes, for every combination of the arguments' axes.

    Law: the result of a lane depends on that lane's arguments only.
    """
    flat, tree = jax.tree.flatten(args, is_leaf=lambda v: isinstance(v, Arr))
    static = [v if isinstance(v, (bool, int, float, str)) else None for v in flat]
    arrs = [to_arr(v) for v, s in zip(flat, static, strict=True) if s is None]
    refuse_closed(*arrs)
    axes = union(*(a.axes for a in arrs))
    shape: Any = None

    def one(*data: Any) -> list[Any]:
        nonlocal shape
        it = iter(data)
        rebuilt = [Arr(next(it)) if s is None else s for s in static]
        out = f(*jax.tree.unflatten(tree, rebuilt))
        out_flat, shape = jax.tree.flatten(out, is_leaf=lambda v: isinstance(v, Arr))
        return [to_arr(v).data for v in out_flat]

    g: Callable[..., list[Any]] = one
    for axis in reversed(axes):
        g = jax.vmap(
            g, in_axes=tuple(0 if axis in a.axes else None for a in arrs), axis_size=axis.size
        )
    out = g(*(a.data for a in arrs)) if arrs else one()
    return jax.tree.unflatten(shape, [Arr(jnp.asarray(x), axes) for x in out])
