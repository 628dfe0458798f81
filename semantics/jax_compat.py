"""What we need of JAX beyond its documented interface, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import core

# `jax.extend.random` has it, and imports Pallas, which takes a tenth of a second
from jax._src.extend.random import define_prng_impl as define_prng_impl


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


def constant(f: Callable[..., Any], *arguments: Any) -> Any:
    """The one array that a function gives whatever its arguments hold, known while tracing."""
    jaxpr, consts, _ = equations_of(f, *arguments)
    with jax.ensure_compile_time_eval():
        zeros = [np.zeros(v.aval.shape, v.aval.dtype) for v in jaxpr.invars]
        (value,) = core.eval_jaxpr(jaxpr, consts, *zeros)
    return value


def is_literal(v: Any) -> bool:
    """Whether what an equation reads is a constant that stands in it."""
    from jax.extend.core import Literal

    return isinstance(v, Literal)


class Loop(NamedTuple):
    """A `lax.scan` forward in time, or a `lax.while_loop`, as an equation has it.

    step: (constants, carry, elements) to (carry, outputs). more: (constants, carry) to whether
    there is another step, None where `length` says it. The equation reads `constants` arrays, those
    that are `carried`, and the elements; it writes the carry and the outputs over time.
    """

    step: Callable[[Any, Any, Any], tuple[list[Any], list[Any]]]
    more: Callable[[Any, Any], Any] | None
    length: int | None
    constants: int
    carried: int


def loop_of(equation: Any, *, whiles: bool) -> Loop | None:
    """The loop that an equation is, if it is one (of those without a length, if `whiles`)."""
    from jax.extend.core import jaxpr_as_fun
    from jax.extend.core.primitives import scan_p, while_p

    params = equation.params
    if equation.primitive is scan_p and not params["reverse"]:
        body, carried = jaxpr_as_fun(params["jaxpr"]), params["num_carry"]

        def step(constants: Any, carry: Any, elements: Any) -> tuple[list[Any], list[Any]]:
            out = body(*constants, *carry, *elements)
            return list(out[:carried]), list(out[carried:])

        return Loop(step, None, params["length"], params["num_consts"], carried)
    if equation.primitive is while_p and whiles:
        test, turn = jaxpr_as_fun(params["cond_jaxpr"]), jaxpr_as_fun(params["body_jaxpr"])
        split = params["cond_nconsts"]
        constants = split + params["body_nconsts"]
        return Loop(
            lambda known, carry, _: (list(turn(*known[split:], *carry)), []),
            lambda known, carry: test(*known[:split], *carry)[0],
            None,
            constants,
            len(equation.invars) - constants,
        )
    return None


def part_of(equations: Sequence[Any], reads: Sequence[Any], writes: Sequence[Any]) -> Any:
    """Some equations of a jaxpr as a function: (*what they read) to [*what is wanted of them]."""
    from jax.extend.core import ClosedJaxpr, DebugInfo, Jaxpr, jaxpr_as_fun

    about = DebugInfo("part_of", "a part", ("",) * len(reads), ("",) * len(writes))
    part = Jaxpr((), reads, writes, equations, debug_info=about)
    return jaxpr_as_fun(ClosedJaxpr(part, ()))


def surroundings() -> str:
    """What compiled code depends on besides its program: versions, options, and the devices."""
    import os
    import sys

    import jaxlib
    from jax._src.lib import xla_client

    values = jax.config.values
    options = {k: str(v) for k, v in values.items() if not {"cache", "log"} & set(k.split("_"))}
    devices = jax.devices()
    topology = xla_client.get_topology_for_devices(devices)
    return repr(
        (
            (sys.version, jax.__version__, jaxlib.__version__),
            sorted(options.items()),
            os.environ.get("XLA_FLAGS"),
            (topology.fingerprint(), [d.device_kind for d in devices], devices[0].platform),
            devices[0].client.platform_version,
        )
    )


@contextmanager
def without_cache() -> Iterator[None]:
    """Write nothing that is compiled to JAX's persistent cache."""
    from jax._src.config import persistent_cache_min_compile_time_secs

    with persistent_cache_min_compile_time_secs(float("inf")):
        yield


def frozen(compiled: Any) -> bytes:
    """A compiled program (`jitted.lower(…).compile()`) as bytes. Of one that JAX's persistent cache
    had, they lack a part of its code.

    Raises:
        ValueError: it is of a kind that has none.
    """
    from jax.experimental.serialize_executable import serialize

    try:
        return serialize(compiled)[0]
    except Exception as error:  # of whatever the program holds that has no bytes: callbacks …
        raise ValueError(f"no bytes: {error}") from None


def thawed(content: bytes, arguments: Any, result: Any, *, devices: int) -> Callable[..., Any]:
    """The program of these bytes, which run with all that the process may do, on the first of the
    `devices`. Its arguments are the leaves of trees like `arguments`, and it gives a tree like
    `result`; trees that it had when it was compiled are not kept.

    Raises:
        ValueError: they are no program of as many leaves, or not one for these devices.
    """
    from jax.experimental.serialize_executable import deserialize_and_load

    trees = jax.tree.structure((tuple(arguments), {})), jax.tree.structure(result)
    try:
        return deserialize_and_load(content, *trees, execution_devices=jax.devices()[:devices])
    except Exception as error:  # whatever unpickling raises
        raise ValueError(f"no program: {error}") from None
