"""Ordinary differential equations through diffrax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from ppl.semantics.functions.casts import real

#: steps of the solver before it gives up on a solution
MAX_STEPS = 16_384


def solve_ode(
    rhs: Callable[[Array, Any], Any],
    y0: Any,
    t0: ArrayLike,
    ts: ArrayLike,
    rtol: ArrayLike,
    atol: ArrayLike,
    *,
    stiff: bool,
    forward_mode: bool = False,
) -> Any:
    """The states at times `ts` of dy/dt = rhs(t, y), y(t0) = y0.

    y0 is a pytree of arrays; the result has its structure with a leading dimension len(ts).
    Solvers: Tsit5 (Tsitouras 2011), or Kvaerno5 (2004) if `stiff`, with adaptive steps. All of y
    shares one step size and error estimate, so independent problems should be `vmap`ped.
    Differentiable in reverse (by checkpointing; `rhs` may close over what is differentiated), or
    forwards if `forward_mode`. NaN where `ts` do not increase from t0 or the solver gives up.
    """
    import diffrax  # takes as long to import as JAX, and few models need it

    y0 = jax.tree.map(real, y0)
    t0, ts = real(t0), real(ts)
    if ts.shape[0] == 0:
        return jax.tree.map(lambda y: jnp.zeros((0, *y.shape), y.dtype), y0)
    legal = jnp.all(jnp.diff(ts, prepend=t0) >= 0)
    safe = jnp.where(legal, ts, t0 + jnp.arange(1, ts.shape[0] + 1, dtype=ts.dtype))

    def derivative(t: Array, y: Any, _: None) -> Any:
        return jax.tree.map(
            lambda d, y: jnp.broadcast_to(real(d), y.shape).astype(y.dtype), rhs(t, y), y
        )

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(derivative),
        diffrax.Kvaerno5() if stiff else diffrax.Tsit5(),
        t0,
        safe[-1],
        None,
        y0,
        saveat=diffrax.SaveAt(ts=safe),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        adjoint=diffrax.ForwardMode() if forward_mode else diffrax.RecursiveCheckpointAdjoint(),
        max_steps=MAX_STEPS,
        throw=False,
    )
    ok = legal & (solution.result == diffrax.RESULTS.successful)
    return jax.tree.map(lambda y: jnp.where(ok, y, jnp.nan), solution.ys)
