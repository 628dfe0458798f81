"""Functions of Python inside programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import types as T
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.lanes import lanes
from ppl.semantics.xla.values import HostFn, Rec, RValue, Seq, Static, is_constant, to_arr


def call_host(fn: HostFn, args: tuple[RValue, ...], span: Span | None) -> RValue:
    """Call a Python function once for all lanes.

    Raises E711 if it cannot be traced, raises an exception, or gives something of another type.
    """

    def once(*xs: RValue) -> RValue:
        try:
            out = fn.call(*map(_to_host, xs))
            return from_host(out, fn.type.result)
        except DiagnosticError:
            raise
        except jax.errors.JAXTypeError:
            raise _unfit(
                fn, "needs the values of its arguments, which are not known while compiling", span
            ) from None
        except Exception as error:
            raise _unfit(fn, f"raised {type(error).__name__}: {error}", span) from error

    return lanes(once, *args)


def _unfit(fn: HostFn, what: str, span: Span | None) -> DiagnosticError:
    name = getattr(fn.call, "__name__", "function")
    return fail(
        "E711",
        f"the Python function `{name}`, given as `{fn.type}`, {what}",
        span=span,
        hint="write it with jax.numpy, for scalars and arrays of the sizes its type says",
    )


def _to_host(v: RValue) -> Any:
    match v:
        case tuple():
            return tuple(map(_to_host, v))
        case Rec(names=names, items=items):
            return dict(zip(names, map(_to_host, items), strict=True))
        case Seq(items=items):
            return _to_host(items)
        case Static(value=value):
            return value
        case None:
            return None
        case _ if is_constant(v) or isinstance(v, Arr):
            return to_arr(v).data
    raise TypeError("it is called on a function or distribution of the program")


def from_host(v: Any, type: T.Type) -> RValue:
    """A traced Python value as one of the language's."""
    match type:
        case T.Tuple(items=items):
            return tuple(from_host(x, t) for x, t in zip(v, items, strict=True))
        case T.Record(fields=fields) if isinstance(v, Mapping):
            return Rec(tuple(k for k, _ in fields), tuple(from_host(v[k], t) for k, t in fields))
        case _:
            item = type
            while isinstance(item, T.Array):
                item = item.item
            if not (T.is_number(item) or item == T.BOOL):
                raise TypeError(f"it gives a `{type}`")
            data = jnp.asarray(v)
            if data.ndim != T.rank(type):
                raise TypeError(f"it gives an array of shape {data.shape} for a `{type}`")
            kind = bool if item == T.BOOL else jnp.result_type(float if T.is_real(item) else int)
            return Arr(data.astype(kind))
