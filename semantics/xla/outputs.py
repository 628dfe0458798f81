"""Run-time values handed back to Python: arrays led by the draws, structures, and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import fail
from ppl.semantics.jax_compat import is_concrete
from ppl.semantics.precision import Precision, precision
from ppl.semantics.xla.arrays import index
from ppl.semantics.xla.axes import Arr, Axes, Axis, spread, union
from ppl.semantics.xla.recursion import tails
from ppl.semantics.xla.run import apply
from ppl.semantics.xla.sites import draw
from ppl.semantics.xla.state import Scope
from ppl.semantics.xla.steps import Steps
from ppl.semantics.xla.values import (
    Closure,
    Dist,
    GlobalFn,
    HostFn,
    Rec,
    RValue,
    Seq,
    Static,
    Suspension,
    Union,
    close_array,
    is_constant,
    to_arr,
)

Reshape = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Function:
    """A function for every draw. Calling it gives the value in every draw, led by (chain, draw).

    Arguments are numbers, arrays, tuples, records (as dicts) and functions of the function's types.
    They may have more dimensions in front, as NumPy's functions do: the function is then called for
    every element, and the result has these dimensions after (chain, draw).

    JAX can transform it (`jax.jit`, `jax.grad`, `jax.vmap`); then it gives JAX's arrays, in the
    precision of the code around it.
    """

    closure: RValue = field(repr=False)
    host: Host = field(repr=False)

    def __call__(self, *args: Any) -> Any:
        """Raises E609 if the arguments are not of the function's types."""
        types = _parameters(self.closure, self.host.program)
        if types is None:
            raise fail(
                "E609",
                "this is a distribution or measure, which cannot be called",
                hint="draw from it in the model: `x ~ d`",
            )
        if len(args) != len(types):
            count = "1 argument" if len(types) == 1 else f"{len(types)} arguments"
            raise fail("E609", f"the function takes {count}, and is called on {len(args)}")
        with precision(self.host.numbers):
            given = tuple(map(argument, args, types))
            out = self.host.call(self.closure, given)
        return jax.tree.map(_where_it_goes, out)

    def __reduce__(self) -> Any:
        """Pickled with its numbers in NumPy's arrays, which keep their precision everywhere."""
        return Function, (jax.tree.map(np.asarray, self.closure), self.host)


def _where_it_goes(value: Any) -> Any:
    """What a function gives, in the precision of the caller if JAX transforms what calls it."""
    if is_concrete(value):
        return value
    return jax.lax.convert_element_type(value, jax.dtypes.canonicalize_dtype(value.dtype))


def _parameters(fn: RValue, program: ir.Program) -> tuple[T.Type, ...] | None:
    match fn:
        case Closure(code=code):
            assert isinstance(code.node, ir.Lam)
            return tuple(p.type for p in code.node.params)
        case GlobalFn(name=name):
            return tuple(p.type for p in program.by_name[name].params)
        case HostFn(type=type):
            return type.params
        case Union(options=options):
            return _parameters(options[0], program)
        case _:
            return None


def argument(value: Any, type: T.Type) -> RValue:
    """A Python value as an argument of a function; dimensions in front of its type's stay there."""
    match type:
        case T.Tuple(items=items) if isinstance(value, tuple) and len(value) == len(items):
            return tuple(map(argument, value, items))
        case T.Record(fields=fields) if (
            isinstance(value, Mapping) and {k for k, _ in fields} == value.keys()
        ):
            return Rec(tuple(k for k, _ in fields), tuple(argument(value[k], t) for k, t in fields))
        case T.Fun() if isinstance(value, Function):
            return value.closure
        case T.Fun() if callable(value):
            return HostFn(value, type)
        case T.Base(name="text") if isinstance(value, str):
            return Static(value)
        case T.Base(name="unit") if value is None or value == ():
            return None
    item = type
    while isinstance(item, T.Array):
        item = item.item
    data = None
    if T.is_number(item) or item == T.BOOL:  # under jax.jit, grad and vmap, arguments are traced
        data = np.asarray(value) if is_concrete(value) else value
    if data is None or data.ndim < T.rank(type) or data.dtype.kind not in _KINDS[_kind(item)]:
        raise fail("E609", f"an argument of type `{type}` cannot be {_shown(value)}")
    kind = _kind(item)
    return Arr(jnp.asarray(data, bool if kind is bool else jnp.result_type(kind)))


#: NumPy's kinds of the numbers that are taken for a kind
_KINDS = {bool: "b", int: "biu", float: "biuf"}


def _kind(t: T.Type) -> type:
    return bool if t == T.BOOL else float if T.is_real(t) else int


def _shown(value: Any) -> str:
    if isinstance(value, (np.ndarray, jax.Array)):
        return f"an array of shape {value.shape} of {value.dtype}"
    return f"{value!r}" if isinstance(value, (bool, int, float, str)) else type(value).__name__


def _in_front(
    args: tuple[RValue, ...], types: tuple[T.Type, ...]
) -> tuple[tuple[RValue, ...], Axes]:
    """The arguments with the dimensions in front of their types' as axes, which broadcast."""

    def walk(f: Callable[[Arr, int], RValue], v: RValue, t: T.Type) -> RValue:
        match v, t:
            case tuple(), T.Tuple(items=items):
                return tuple(walk(f, x, i) for x, i in zip(v, items, strict=True))
            case Rec(names=names), T.Record(fields=fields):
                return Rec(names, tuple(walk(f, v.get(k), i) for k, i in fields))
            case Arr(), _ if not v.axes:
                return f(v, v.event_rank - T.rank(t))
            case _:
                return v

    fronts: list[tuple[int, ...]] = []

    def look(a: Arr, k: int) -> Arr:
        fronts.append(a.event_shape[:k])
        return a

    for v, t in zip(args, types, strict=True):
        walk(look, v, t)
    try:
        shape = np.broadcast_shapes(*fronts)
    except ValueError:
        shown = " and ".join(map(str, dict.fromkeys(fronts)))
        raise fail("E609", f"the dimensions in front do not broadcast: {shown}") from None
    axes = tuple(Axis(1 + k, f"call{k}", n) for k, n in enumerate(shape))

    def open_up(a: Arr, k: int) -> Arr:
        return Arr(jnp.broadcast_to(a.data, (*shape, *a.event_shape[k:])), axes) if k else a

    return tuple(walk(open_up, v, t) for v, t in zip(args, types, strict=True)), axes


_CODE = (Closure, GlobalFn, HostFn, Union, Suspension, Dist)


class Host:
    """How values along `axis` are handed to Python: `reshape` splits it, e.g. into (chain, draw).

    Functions are pytrees, so one compiled program serves every call with arguments of one shape.
    """

    def __init__(self, program: ir.Program, axis: Axis, reshape: Reshape, numbers: Precision):
        scope = Scope(program, draw, axes=(axis,), tails=tails(program))
        self.program, self.axis, self.reshape = program, axis, reshape
        self.numbers: Precision = numbers
        self._apply = jax.jit(lambda f, xs, axes: _applied(f, xs, axes, scope), static_argnums=2)

    def __reduce__(self) -> Any:
        return Host, (self.program, self.axis, self.reshape, self.numbers)

    def call(self, fn: RValue, args: tuple[RValue, ...]) -> Any:
        """The function's value at arguments that may have more dimensions in front."""
        types = _parameters(fn, self.program)
        assert types is not None
        opened, axes = _in_front(args, types)
        return self.to_python(self._apply(fn, opened, axes))

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
            case Seq(items=items) if _holds_code(items):
                return [self.to_python(index(v, i)) for i in range(v.length)]
            case Seq(items=items):
                return self.to_python(items)
            case None:
                return v
            case Static(value=text):
                return text
        return self.reshape(spread(to_arr(v), (self.axis,)).data)


def _applied(fn: RValue, args: tuple[RValue, ...], axes: Axes, scope: Scope) -> RValue:
    out = apply(fn, args, replace(scope, axes=union(scope.axes, axes)))
    for axis in reversed(axes):
        out = close_array(out, axis)
    return out


def _holds_code(v: RValue) -> bool:
    match v:
        case tuple():
            return any(map(_holds_code, v))
        case Rec(items=items):
            return any(map(_holds_code, items))
        case Seq(items=items):
            return _holds_code(items)
        case _:
            return isinstance(v, _CODE)


def numeric_parts(name: str, value: RValue) -> dict[str, Any]:
    """The arrays inside a value, by path: `name`, `name.field`, `name.0`; `Steps` of arrays for
    what happened in a loop without a bound."""
    if isinstance(value, (*_CODE, Static)) or value is None:
        return {}
    if isinstance(value, tuple):
        parts = [(f"{name}.{i}", v) for i, v in enumerate(value)]
    elif isinstance(value, Rec):
        parts = [(f"{name}.{n}", v) for n, v in zip(value.names, value.items, strict=True)]
    elif isinstance(value, Seq):
        inside = numeric_parts(name, value.items)
        return {n: v.deeper() if isinstance(v, Steps) else v for n, v in inside.items()}
    elif isinstance(value, Steps):
        inside = numeric_parts(name, value.items)
        return {n: replace(value, items=v) for n, v in inside.items()}
    elif isinstance(value, Arr) or is_constant(value):
        return {name: to_arr(value)}
    else:
        return {}
    out: dict[str, Any] = {}
    for n, v in parts:
        out.update(numeric_parts(n, v))
    return out
