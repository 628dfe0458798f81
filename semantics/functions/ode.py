"""Ordinary differential equations through diffrax.

Derivatives with respect to few numbers are forward sensitivities: the derivatives in all directions
are carried along with the solution, through the steps that it takes. They cost little more than the
solution, where going back through a checkpointed solver costs many times that; with many numbers
it is the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from ppl.semantics.functions.casts import real

#: steps of the solver before it gives up on a solution
MAX_STEPS = 16_384
#: numbers up to which derivatives are carried forward
DIRECTIONS = 64


def solve_ode(
    rhs: Callable[[Array, Any], Any],
    y0: Any,
    t0: ArrayLike,
    ts: ArrayLike,
    rtol: ArrayLike,
    atol: ArrayLike,
    *,
    stiff: bool,
) -> Any:
    """The states at times `ts` of dy/dt = rhs(t, y), y(t0) = y0.

    y0 is a pytree of arrays; the result has its structure with a leading dimension len(ts).
    Solvers: Tsit5 (Tsitouras 2011), or Kvaerno5 (2004) if `stiff`, with adaptive steps. All of y
    shares one step size and error estimate, so independent problems should be `vmap`ped.
    Differentiable with respect to y0, the times, and what `rhs` closes over: forwards, backwards,
    and forwards again. NaN where `ts` do not increase from t0 or the solver gives up.
    """
    y0 = jax.tree.map(real, y0)
    t0, ts, rtol, atol = real(t0), real(ts), real(rtol), real(atol)
    if ts.shape[0] == 0:
        return jax.tree.map(lambda y: jnp.zeros((0, *y.shape), y.dtype), y0)

    def derivative(t: Array, y: Any) -> Any:
        return jax.tree.map(
            lambda d, y: jnp.broadcast_to(real(d), y.shape).astype(y.dtype), rhs(t, y), y
        )

    field, captured = jax.closure_convert(derivative, t0, y0)
    tolerances = jax.lax.stop_gradient((rtol, atol))
    solve = partial(_solve, field, stiff=stiff, tolerances=tolerances)
    operands = (y0, t0, ts, captured)
    size = sum(x.size for x in jax.tree.leaves((y0, captured)))
    if size > DIRECTIONS:
        return solve(operands, forwards=False)
    return _with_sensitivities(partial(solve, forwards=True), operands)


def _solve(
    field: Callable[..., Any], operands: Any, *, stiff: bool, tolerances: Any, forwards: bool
) -> Any:
    import diffrax  # takes as long to import as JAX, and few models need it

    y0, t0, ts, captured = operands
    rtol, atol = tolerances
    legal = jnp.all(jnp.diff(ts, prepend=t0) >= 0)
    safe = jnp.where(legal, ts, t0 + jnp.arange(1, ts.shape[0] + 1, dtype=ts.dtype))
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, captured: field(t, y, *captured)),
        diffrax.Kvaerno5() if stiff else diffrax.Tsit5(),
        t0,
        safe[-1],
        None,
        y0,
        captured,
        saveat=diffrax.SaveAt(ts=safe),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        adjoint=diffrax.ForwardMode() if forwards else diffrax.RecursiveCheckpointAdjoint(),
        max_steps=MAX_STEPS,
        throw=False,
    )
    ok = legal & (solution.result == diffrax.RESULTS.successful)
    return jax.tree.map(lambda y: jnp.where(ok, y, jnp.nan), solution.ys)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _with_sensitivities(solve: Callable[[Any], Any], operands: Any) -> Any:
    return solve(operands)


@partial(_with_sensitivities.defjvp, symbolic_zeros=True)
def _(solve: Callable[[Any], Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """The derivative is linear in the tangents, so that it can be transposed."""
    values, tree = jax.tree.flatten(primals[0])
    moves = tree.flatten_up_to(tangents[0])
    moving = [i for i, move in enumerate(moves) if not isinstance(move, SymbolicZero)]
    flat, unravel = ravel_pytree([values[i] for i in moving])

    def solved(flat: Array) -> tuple[Any, Any]:
        moved = dict(zip(moving, unravel(flat), strict=True))
        ys = solve(tree.unflatten([moved.get(i, v) for i, v in enumerate(values)]))
        return ys, ys

    sensitivities, ys = jax.jacfwd(solved, has_aux=True)(flat)
    direction, _ = ravel_pytree([moves[i] for i in moving])
    return ys, jax.tree.map(lambda s: s @ direction, sensitivities)
