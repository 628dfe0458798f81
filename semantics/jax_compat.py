"""What we need of JAX beyond its documented interface, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import core


def is_concrete(x: Any) -> bool:
    """Whether the value of `x` is known now, so that it can decide a shape."""
    return not isinstance(x, core.Tracer)


def unread(f: Callable[[Any], Any], x: Any) -> bool:
    """Whether no output of `f` is computed from its argument, a tree of arrays."""
    from jax.interpreters import partial_eval

    closed = jax.make_jaxpr(f)(x)
    _, used = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    return not any(used)


def equations_of(f: Callable[..., Any], *arguments: Any) -> tuple[Any, list[Any], Any]:
    """What a function computes of arrays, without what none of its outputs needs: a jaxpr, its
    constants, and the tree of the outputs."""
    from jax.interpreters import partial_eval

    closed, shape = jax.make_jaxpr(f, return_shape=True)(*arguments)
    outputs = [True] * len(closed.jaxpr.outvars)
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, outputs, instantiate=True)
    return jaxpr, list(closed.consts), jax.tree.structure(shape)


def is_literal(v: Any) -> bool:
    """Whether what an equation reads is a constant that stands in it."""
    from jax.extend.core import Literal

    return isinstance(v, Literal)


def is_loop(equation: Any) -> bool:
    """Whether an equation is a `lax.scan` forward in time."""
    from jax.extend.core.primitives import scan_p

    return equation.primitive is scan_p and not equation.params["reverse"]


def loop_body(equation: Any) -> tuple[Callable[..., Any], int, int]:
    """Of a `lax.scan`: (*constants, *carry, *elements) to [*carry, *outputs]; how many constants,
    and how many arrays are carried."""
    from jax.extend.core import jaxpr_as_fun

    params = equation.params
    return jaxpr_as_fun(params["jaxpr"]), params["num_consts"], params["num_carry"]


def part_of(equations: Sequence[Any], reads: Sequence[Any], writes: Sequence[Any]) -> Any:
    """Some equations of a jaxpr as a function: (*what they read) to [*what is wanted of them]."""
    from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

    return jaxpr_as_fun(ClosedJaxpr(Jaxpr((), reads, writes, equations), ()))
