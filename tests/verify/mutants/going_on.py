"""Compiled particles that go on with more data, and pasts drawn backwards, with a part wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import jax.numpy as jnp

from ppl.semantics.xla import backward
from ppl.verify import Compiled
from ppl.verify.programs import Program
from tests.verify.suite import going_on

_STEP = """
    x ~ categorical([[{p}, 1 - {p}, 0], [0, p[0], 1 - p[0]], [0.3, 0, 0.7]][{state}])
    observe y ~ bernoulli([0.15, p[2], 0.4][x])
"""
HIDDEN = Program(
    f"""model main(ys: [bool], p: [prob]) {{
  xs ~ scan x = 0 for y in ys {{{_STEP.format(p="p[1]", state="x")}
    return x
  }}
  return xs
}}
""",
    "main",
    {"ys": [False, True, True], "p": [0.45, 0.6, 0.8]},
)
FOLDED = Program(
    f"""model main(ys: [bool], p: [prob]) {{
  c ~ bernoulli(0.35)
  s ~ fold s = (0, 0) for y in ys {{{_STEP.format(p="(if c { p[1] } else { 0.25 })", state="s.0")}
    return (x, s.0)
  }}
  observe c ~ bernoulli([0.9, 0.25, p[2]][s.0])
  return (c, s)
}}
""",
    "main",
    {"ys": [False, True], "p": [0.45, 0.6, 0.8]},
)

_density = backward._density


def by_weight_alone(loop: Any, state: Any, inputs: Any, values: Any) -> Any:
    """What a trajectory does next is not asked for."""
    return 0 * _density(loop, state, inputs, values)


def off_by_one(loop: Any, state: Any, inputs: Any, values: Any) -> Any:
    return jnp.roll(_density(loop, state, inputs, values), 1, axis=-1)


def smoothed(density: Callable[..., Any]) -> Callable[[], Compiled]:
    def make() -> Compiled:
        right = going_on.smoothed(HIDDEN, 0.7).run

        def run(model: Any, omega: Any) -> Any:
            with mock.patch.object(backward, "_density", density):
                return right(model, omega)

        return Compiled(run)

    return make


_from = going_on.From


def levelled(log_weights: Any, version: int) -> Any:
    """The weights that particles had are lost."""
    return _from(jnp.full_like(log_weights, -jnp.log(len(log_weights))), version)


def extended(begins: Callable[..., Any]) -> Callable[[], Compiled]:

    def make() -> Compiled:
        right = going_on.extended(FOLDED, 0.7).run

        def run(model: Any, omega: Any) -> Any:
            with mock.patch.object(going_on, "From", begins):
                return right(model, omega)

        return Compiled(run)

    return make
