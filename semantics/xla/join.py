"""One value that is `a` in some lanes and `b` in the others.

Serves branches on random conditions, unions and carries. Numbers are selected, structures are
joined part by part, functions of the same code join their environments; functions, measures and
distributions of different code become a `Union`, which applies every option under its own mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.xla.axes import Arr, elementwise
from ppl.semantics.xla.values import (
    Closure,
    Dist,
    GlobalFn,
    HostFn,
    PrimFn,
    Rec,
    RValue,
    Seq,
    Static,
    Suspension,
    Union,
    is_constant,
    to_arr,
)

Lengths = tuple[int, ...]
_CODE = (Closure, Suspension, Dist, GlobalFn, PrimFn, HostFn, Union)


def join(
    mask: Arr, a: RValue, b: RValue, span: Span | None = None, *, inside: Lengths = ()
) -> RValue:
    """`a` where `mask` holds, else `b`. `inside`: the lengths of the arrays that they are the
    elements of, which lead what each is made of.

    Raises E701 if the two have no common form here (arrays of different lengths, different texts).
    """
    if is_constant(a) and is_constant(b) and type(a) is type(b) and a == b:
        return a
    if any(isinstance(v, Static) and isinstance(v.value, str) for v in (a, b)):
        raise _incompatible("different texts", span)
    match a, b:
        case tuple(), tuple():
            return _each(mask, a, b, span, inside)
        case Rec(names=names), Rec():
            left, right = (tuple(v.get(n) for n in names) for v in (a, b))
            return Rec(names, _each(mask, left, right, span, inside))
        case Seq(), Seq():
            if a.length != b.length:
                raise _incompatible(f"arrays of {a.length} and {b.length} elements", span)
            within = (*inside, a.length)
            return Seq(join(mask, a.items, b.items, span, inside=within), a.length)
        case _ if isinstance(a, _CODE) or isinstance(b, _CODE):
            return _join_code(mask, a, b, span, inside)
        case _:
            return _select(mask, to_arr(a), to_arr(b), span)


def _each(
    mask: Arr, a: tuple[RValue, ...], b: tuple[RValue, ...], span: Span | None, inside: Lengths
) -> tuple[RValue, ...]:
    return tuple(join(mask, x, y, span, inside=inside) for x, y in zip(a, b, strict=True))


def _select(mask: Arr, a: Arr, b: Arr, span: Span | None) -> Arr:
    if a.event_shape != b.event_shape:
        raise _incompatible(f"arrays of shapes {a.event_shape} and {b.event_shape}", span)
    out = elementwise(jnp.where, mask, a, b)
    return replace(out, closed=a.closed if a.closed == b.closed else ())


def same_head(a: RValue, b: RValue) -> bool:
    if type(a) is not type(b):
        return False
    match a:
        case Closure() | Suspension():
            return a.code == b.code
        case Union():
            return len(a.options) == len(b.options) and all(map(same_head, a.options, b.options))
        case Dist():
            return (a.name, len(a.args)) == (b.name, len(b.args)) and all(
                map(_same_part, a.args, b.args)
            )
        case _:
            return a == b


def _same_part(a: RValue, b: RValue) -> bool:
    """Whether the arguments of two distributions are of one form."""
    match a, b:
        case Seq(), Seq():
            return a.length == b.length and _same_part(a.items, b.items)
        case _ if isinstance(a, (Static, *_CODE)) or isinstance(b, (Static, *_CODE)):
            return same_head(a, b)
        case _:
            return True


def _join_code(mask: Arr, a: RValue, b: RValue, span: Span | None, inside: Lengths) -> RValue:
    if not isinstance(a, Union) and not isinstance(b, Union) and same_head(a, b):
        return _join_same(mask, a, b, span, inside)
    left, right = as_union(a, inside), as_union(b, inside)
    options, place = list(left.options), []
    for option in right.options:
        k = next((i for i, o in enumerate(options) if same_head(o, option)), None)
        if k is None:
            place.append(len(options))
            options.append(option)
        else:
            place.append(k)
            options[k] = _join_same(mask, options[k], option, span, inside)
    moved = elementwise(lambda t: jnp.asarray(place)[t], right.tag)
    return Union(elementwise(jnp.where, mask, left.tag, moved), tuple(options))


def _join_same(mask: Arr, a: RValue, b: RValue, span: Span | None, inside: Lengths) -> RValue:
    match a:
        case Closure() | Suspension():
            return replace(a, values=_each(mask, a.values, b.values, span, inside))
        case Dist():
            return replace(a, args=_each(mask, a.args, b.args, span, inside))
        case _:
            return a


def as_union(v: RValue, inside: Lengths = ()) -> Union:
    """Code (of each element of arrays) as a union, of one option if it is not one yet."""
    return v if isinstance(v, Union) else Union(to_arr(np.zeros(inside, int)), (v,))


def choose(union: Union, use: Callable[[RValue, Arr], RValue], span: Span | None) -> RValue:
    """Use every option under the mask of the lanes that hold it, and join the results."""
    masks = [elementwise(lambda t, k=k: t == k, union.tag) for k in range(len(union.options))]
    out = use(union.options[0], masks[0])
    for mask, option in zip(masks[1:], union.options[1:], strict=True):
        out = join(mask, use(option, mask), out, span)
    return out


def _incompatible(what: str, span: Span | None):
    return fail(
        "E701",
        f"the two sides of a random choice give {what}",
        span=span,
        hint="give both sides the same size, or run with the machine: engine='machine'",
    )
