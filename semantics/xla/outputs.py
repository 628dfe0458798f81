"""Run-time values handed back to Python: arrays led by the draws, structures, and functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from ppl.semantics import ir
from ppl.semantics.diagnostics import fail
from ppl.semantics.precision import Precision, precision
from ppl.semantics.xla.arrays import index
from ppl.semantics.xla.axes import Arr, Axis, spread
from ppl.semantics.xla.run import apply
from ppl.semantics.xla.sites import draw
from ppl.semantics.xla.state import Scope
from ppl.semantics.xla.values import (
    Closure,
    Dist,
    GlobalFn,
    HostFn,
    Rec,
    RValue,
    Seq,
    Suspension,
    Union,
    is_constant,
    to_arr,
)

Reshape = Callable[[Any], Any]


@dataclass(frozen=True)
class Function:
    """A function for every draw. Calling it gives the value in every draw, led by (chain, draw).

    Arguments are numbers, arrays, tuples and records (as dicts) of the function's types.
    """

    closure: RValue = field(repr=False)
    host: Host = field(repr=False)

    def __call__(self, *args: Any) -> Any:
        with precision(self.host.numbers):
            given = tuple(argument(a) for a in args)
            return self.host.to_python(self.host.apply(self.closure, given))


def argument(value: Any) -> RValue:
    """A Python value as an argument of a function of the language."""
    if isinstance(value, Function):
        return value.closure
    if isinstance(value, dict):
        return Rec(tuple(value), tuple(argument(v) for v in value.values()))
    if isinstance(value, tuple):
        return tuple(argument(v) for v in value)
    if value is None or isinstance(value, str):
        return value
    if callable(value):
        return HostFn(value)
    data = np.asarray(value)
    if data.dtype.kind not in "biuf":
        raise fail(
            "E609", f"a function of a posterior cannot be called on a {type(value).__name__}"
        )
    kind = {"b": bool, "i": int, "u": int, "f": float}[data.dtype.kind]
    return Arr(jax.numpy.asarray(data, jax.numpy.result_type(kind) if kind is not bool else bool))


_CODE = (Closure, GlobalFn, HostFn, Union, Suspension, Dist)


class Host:
    """How values along `axis` are handed to Python: `reshape` splits it, e.g. into (chain, draw).

    Functions are pytrees, so one compiled program serves every call with arguments of one shape.
    """

    def __init__(self, program: ir.Program, axis: Axis, reshape: Reshape, numbers: Precision):
        scope = Scope(program, draw)
        self.axis, self.reshape, self.numbers = axis, reshape, numbers
        self.apply = jax.jit(lambda f, xs: apply(f, xs, scope))

    def to_python(self, v: RValue) -> Any:
        """Numbers as arrays led by the draws; tuples; records as dicts; functions as `Function`s.

        Arrays of structures are held by columns; arrays of functions are lists.
        """
        match v:
            case _ if isinstance(v, _CODE):
                return Function(v, self)
            case tuple():
                return tuple(self.to_python(x) for x in v)
            case Rec(names=names, items=items):
                return {n: self.to_python(x) for n, x in zip(names, items, strict=True)}
            case Seq(items=items) if isinstance(items, _CODE):
                return [self.to_python(index(v, i)) for i in range(v.length)]
            case Seq(items=items):
                return self.to_python(items)
            case None | str():
                return v
        return self.reshape(spread(to_arr(v), (self.axis,)).data)


def numeric_parts(name: str, value: RValue) -> dict[str, Arr]:
    """The arrays inside a value, by path: `name`, `name.field`, `name.0`."""
    if isinstance(value, (*_CODE, str)) or value is None:
        return {}
    if isinstance(value, tuple):
        parts = [(f"{name}.{i}", v) for i, v in enumerate(value)]
    elif isinstance(value, Rec):
        parts = [(f"{name}.{n}", v) for n, v in zip(value.names, value.items, strict=True)]
    elif isinstance(value, Seq):
        return numeric_parts(name, value.items)
    elif isinstance(value, Arr) or is_constant(value):
        return {name: to_arr(value)}
    else:
        return {}
    out: dict[str, Arr] = {}
    for n, v in parts:
        out.update(numeric_parts(n, v))
    return out
