"""Ordinary differential equations through diffrax.

Derivatives with respect to few numbers are forward sensitivities: the derivatives in all directions
are carried along with the solution, through the steps that it takes. For a few numbers that costs a
few times the solution, where going back through a checkpointed solver costs many times that; with
many numbers it is the other way round. Hairer, Nørsett and Wanner, "Solving ordinary differential
equations I" (1993), section I.14.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

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
    start, unravel = ravel_pytree(y0)

    def slopes(t: Array, flat: Array) -> Array:
        y = unravel(flat)
        found = jax.tree.map(lambda d, y: jnp.broadcast_to(real(d), y.shape), rhs(t, y), y)
        return ravel_pytree(found)[0].astype(flat.dtype)

    field, captured = jax.closure_convert(slopes, t0, start)
    problem = _Problem(field, start.size, stiff)
    operands = (start, t0, ts, tuple(captured), *jax.lax.stop_gradient((rtol, atol)))
    numbers = start.size + sum(x.size for x in captured)
    solve = _with_sensitivities if numbers <= DIRECTIONS else _with_checkpoints
    return jax.vmap(unravel)(solve(problem, operands))


@dataclass(frozen=True, eq=False)
class _Problem:
    """field(t, y, *captured) is dy/dt, of vectors. The first `controlled` coordinates decide the
    steps."""

    field: Callable[..., Array]
    controlled: int
    stiff: bool

    @property
    def term(self) -> Any:
        return _diffrax().ODETerm(lambda t, y, captured: self.field(t, y, *captured))

    def solver(self) -> Any:
        return _diffrax().Kvaerno5() if self.stiff else _diffrax().Tsit5()

    def control(self, rtol: Array, atol: Array) -> Any:
        def size(x: Array) -> Array:
            return jnp.sqrt(jnp.mean(x[: self.controlled] ** 2))

        return _diffrax().PIDController(rtol=rtol, atol=atol, norm=size)


def _diffrax() -> Any:
    import diffrax  # takes as long to import as JAX, and few models need it

    return diffrax


def _in_order(t0: Array, ts: Array) -> tuple[Array, Array]:
    """Whether the times increase from t0, and the times, or others that do."""
    legal = jnp.all(jnp.diff(ts, prepend=t0) >= 0)
    return legal, jnp.where(legal, ts, t0 + jnp.arange(1, ts.shape[0] + 1, dtype=ts.dtype))


def _with_checkpoints(problem: _Problem, operands: Any) -> Array:
    """The states (times, coordinates); derivatives go back through the solver's steps."""
    return _solved(problem, operands, _diffrax().RecursiveCheckpointAdjoint())


def _solved(problem: _Problem, operands: Any, adjoint: Any) -> Array:
    y0, t0, ts, captured, rtol, atol = operands
    legal, times = _in_order(t0, ts)
    solution = _diffrax().diffeqsolve(
        problem.term,
        problem.solver(),
        t0,
        times[-1],
        None,
        y0,
        captured,
        saveat=_diffrax().SaveAt(ts=times),
        stepsize_controller=problem.control(rtol, atol),
        adjoint=adjoint,
        max_steps=MAX_STEPS,
        throw=False,
    )
    ok = legal & (solution.result == _diffrax().RESULTS.successful)
    return jnp.where(ok, solution.ys, jnp.nan)


class _Stepping(NamedTuple):
    """Where a solver is: its next step goes from t, where the state is y and has this slope, to
    `until`. The first `saved` of the `states` asked for are found."""

    t: Array
    until: Array
    y: Array
    slope: Array
    control: Any
    states: Array
    saved: Array
    steps: Array
    fine: Array


def _stepped(problem: _Problem, operands: Any) -> Array:
    """The states (times, coordinates): as `diffrax.diffeqsolve` by the same method, but with the
    stages of a step one after the other in the program, in which a loop over them costs more than
    their arithmetic."""
    y0, t0, ts, captured, rtol, atol = operands
    legal, times = _in_order(t0, ts)
    end, count = times[-1], times.shape[0]
    term, solver, control = problem.term, problem.solver(), problem.control(rtol, atol)
    order, good = solver.error_order(term), _diffrax().RESULTS.successful
    until, controlling = control.init(term, t0, end, y0, None, captured, solver.func, order)

    def going(now: _Stepping) -> Array:
        return (now.saved < count) & now.fine & (now.steps < MAX_STEPS)

    def step(now: _Stepping) -> _Stepping:
        h, table = now.until - now.t, solver.tableau
        y, ks = now.y, [h * now.slope]
        for weights, c in zip(table.a_lower, table.c, strict=True):
            y = now.y + _sum(weights, ks)
            ks.append(h * problem.field(now.t + c * h, y, *captured))
        # the last stage is at the solution, so that its slope is the next step's first one
        error = _sum(table.b_error, ks)
        keep, t, until, _, controlling, result = control.adapt_step_size(
            now.t, now.until, now.y, y, captured, error, order, now.control
        )
        inside = solver.interpolation_cls(t0=now.t, t1=now.until, y0=now.y, y1=y, k=jnp.stack(ks))

        def due(found: tuple[Array, Array]) -> Array:
            saved, _ = found
            return keep & (saved < count) & (times[jnp.minimum(saved, count - 1)] <= now.until)

        def save(found: tuple[Array, Array]) -> tuple[Array, Array]:
            saved, states = found
            return saved + 1, states.at[saved].set(inside.evaluate(times[saved]))

        saved, states = jax.lax.while_loop(due, save, (now.saved, now.states))
        return _Stepping(
            t,
            jnp.minimum(until, end),
            jnp.where(keep, y, now.y),
            jnp.where(keep, ks[-1] / h, now.slope),
            controlling,
            states,
            saved,
            now.steps + 1,
            result == good,
        )

    begin = _Stepping(
        t0,
        jnp.minimum(until, end),
        y0,
        problem.field(t0, y0, *captured),
        controlling,
        jnp.full((count, y0.size), jnp.nan, y0.dtype),
        jnp.array(0),
        jnp.array(0),
        legal,
    )
    last = jax.lax.while_loop(going, step, begin)
    return jnp.where(last.saved == count, last.states, jnp.nan)


def _sum(weights: Any, ks: list[Array]) -> Array:
    return sum((float(w) * k for w, k in zip(weights, ks, strict=True)), start=jnp.zeros(()))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _with_sensitivities(problem: _Problem, operands: Any) -> Array:
    """The states (times, coordinates); derivatives are carried along."""
    if problem.stiff:
        return _solved(problem, operands, _diffrax().ForwardMode())
    return _stepped(problem, operands)


@partial(_with_sensitivities.defjvp, symbolic_zeros=True)
def _(problem: _Problem, primals: Any, tangents: Any) -> tuple[Array, Array]:
    """With s = dy/dp for one of the numbers p that move, ds/dt = (df/dy) s + df/dp. The derivative
    is linear in the tangents, so that it can be transposed."""
    y0, t0, ts, captured, *tolerances = primals[0]
    dy0, dt0, dts, dcaptured, *_ = tangents[0]
    moves = {k: v for k, v in enumerate((dy0, dt0, *dcaptured)) if not isinstance(v, SymbolicZero)}
    direction, unravel = ravel_pytree(moves)
    m, n = direction.size, y0.size
    units = jax.vmap(unravel)(jnp.eye(m, dtype=direction.dtype))
    along = tuple(
        units.get(k, jnp.zeros((m, *x.shape), x.dtype)) for k, x in enumerate(captured, 2)
    )
    start = units.get(0, jnp.zeros((m, n), y0.dtype))
    if 1 in moves:  # starting later is as starting from further back
        start = start - units[1][:, None] * problem.field(t0, y0, *captured)

    def both(t: Array, state: Array, *captured: Array) -> Array:
        y, s = state[:n], state[n:].reshape(m, n)

        def moved(s: Array, along: tuple[Array, ...]) -> Array:
            return jax.jvp(partial(problem.field, t), (y, *captured), (s, *along))[1]

        return jnp.concatenate([problem.field(t, y, *captured), jax.vmap(moved)(s, along).ravel()])

    state = jnp.concatenate([y0, start.ravel()])
    found = _with_sensitivities(
        replace(problem, field=both), (state, t0, ts, captured, *tolerances)
    )
    ys, sensitivities = found[:, :n], found[:, n:].reshape(-1, m, n)
    moved = jnp.einsum("tmn,m->tn", sensitivities, direction)
    if not isinstance(dts, SymbolicZero):
        slopes = jax.vmap(lambda t, y: problem.field(t, y, *captured))(ts, ys)
        moved = moved + slopes * dts[:, None]
    return ys, moved
