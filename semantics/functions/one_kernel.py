"""Loops of small steps as one kernel of XLA's CPU backend.

That backend starts each operation of a step by itself, which costs more than arithmetic on few
numbers does, unless it finds that a step handles less than a kilobyte. A call marked as small is
compiled as a single kernel instead: measured with a differential equation of 14 numbers, five times
faster. Other backends do not know the mark, and are not given it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import jax
from jax.custom_batching import custom_vmap
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

from ppl.semantics.jax_compat import is_concrete

#: numbers in the largest array that a step computes, beyond which the backend's way is faster
SMALL = 2_048

_MARK = {"xla_cpu_small_call": "true", "inlineable": "false"}

#: what the backend can put into one kernel: operations on elements, their order, loops, sums (and
#: marks of equinox, which compute nothing)
_KNOWN = frozenset(
    "abs acos acosh add add_any and argmax argmin asin asinh atan atan2 atanh "
    "broadcast_in_dim cbrt ceil clamp closed_call concatenate cond convert_element_type copy "
    "cos cosh custom_jvp_call custom_vjp_call digamma div dynamic_slice dynamic_update_slice "
    "eq erf erf_inv erfc exp exp2 expand_dims expm1 floor gather ge gt integer_pow iota "
    "is_finite jit le lgamma log log1p logistic lt max maybe_set min mul ne neg nextafter "
    "nonbatchable not or pad pjit pow reduce_and reduce_max reduce_min reduce_or reduce_prod "
    "reduce_sum rem reshape rev round rsqrt scan scatter select_if_vmap select_n sign sin "
    "sinh slice split sqrt square squeeze stack stop_gradient sub tan tanh transpose unstack "
    "unvmap_all unvmap_any unvmap_max while xor".split()
)


def in_one_kernel(f: Callable[..., Any], *args: Any) -> Any:
    """f(*args), compiled as one kernel on a CPU if all that it does is small and known to fit.

    Not so under `vmap`, where what is done side by side may be large.
    """
    if all(map(is_concrete, jax.tree.leaves(args))) or jax.default_backend() != "cpu":
        return f(*args)
    code, shape = jax.make_jaxpr(f, return_shape=True)(*args)
    if not all(map(_fits, _equations(code.jaxpr))):
        return f(*args)
    run = jaxpr_as_fun(code)

    @custom_vmap
    def marked(*flat: Any) -> Any:
        with set_xla_metadata(**_MARK):
            return jax.jit(unmarked)(*flat)

    def unmarked(*flat: Any) -> Any:
        with set_xla_metadata(**dict.fromkeys(_MARK)):  # the call is marked, not what is in it
            return run(*flat)

    @marked.def_vmap
    def _(size: int, batched: Any, *flat: Any) -> Any:
        axes = [0 if b else None for b in batched]
        out = jax.vmap(run, axes, axis_size=size)(*flat)
        return out, [True] * len(out)

    return jax.tree.unflatten(jax.tree.structure(shape), marked(*jax.tree.leaves(args)))


def _equations(jaxpr: Jaxpr) -> Iterator[Any]:
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.tree.leaves(
            list(eqn.params.values()), is_leaf=lambda x: isinstance(x, (Jaxpr, ClosedJaxpr))
        ):
            if isinstance(inner, ClosedJaxpr):
                yield from _equations(inner.jaxpr)
            elif isinstance(inner, Jaxpr):
                yield from _equations(inner)


def _fits(eqn: Any) -> bool:
    shapes = [v.aval.shape for v in eqn.outvars]
    # products of matrices, which sums may be turned into, are a library's, which has its kernels
    if eqn.primitive.name in ("dot_general", "reduce_sum"):
        return all(sum(n > 1 for n in shape) < 2 for shape in shapes)
    return eqn.primitive.name in _KNOWN and all(prod(shape) <= SMALL for shape in shapes)
