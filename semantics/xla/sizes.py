"""Sizes that have to agree: of a distribution's arguments, of what is observed and what is drawn.

Types fix how many dimensions a value has; how long they are is known when data are bound. JAX would
stretch a length of 1 without a word, and say the rest in its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Note, Span, fail
from ppl.semantics.signatures import PRIMITIVES
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.values import Dist, RValue, Seq, to_arr

#: by row, a letter for each dimension of each argument; equal letters are equal sizes
_LETTERS = {
    "mixture": "i,i",
    "multi_normal": "i,ii",
    "multi_normal_cholesky": "i,ii",
    "multi_normal_prec": "i,ii",
    "multi_student_t": ",i,ii",
}

_NOT_EMPTY = ("categorical", "categorical_logit", "dirichlet", "multinomial", "mixture")

_HINT = "look at the sizes of the data that these arrays come from"


def check_sizes(node: ir.Op, args: Sequence[RValue]) -> None:
    """Raise E704 if the sizes of a distribution's arguments do not agree."""
    shapes = [_shape(a) for a in args]
    if PRIMITIVES[node.op].kind == "elementwise":
        letters = ["ijkl"[: len(shape)] for shape in shapes]
    else:
        letters = _LETTERS.get(node.op, "").split(",")
    if node.op in _NOT_EMPTY and (0,) in shapes:
        message = f"`{node.op}` needs at least one element, and has none"
        raise fail("E704", message, span=node.span, hint=_HINT)
    sizes: dict[str, int] = {}
    for shape, names in zip(shapes, letters, strict=False):
        for size, name in zip(shape, names, strict=False):
            if sizes.setdefault(name, size) != size:
                shown = " and ".join(_show(shape) for shape in shapes if shape)
                notes = [
                    Note(f"`{arg.span.text}` has {_show(shape)}", arg.span)
                    for arg, shape in zip(node.args, shapes, strict=True)
                    if shape and arg.span is not None and "\n" not in arg.span.text
                ]
                message = f"arguments of `{node.op}` have {shown}"
                raise fail("E704", message, span=node.span, notes=notes, hint=_HINT)


def check_observed(dist: RValue, x: RValue, span: Span | None) -> None:
    """Raise E704 if an array is observed from an independent product of another shape."""
    if isinstance(dist, Dist) and PRIMITIVES[dist.name].kind == "elementwise":
        drawn = next((shape for shape in map(_shape, dist.args) if shape), ())
        if drawn:
            require_observed(drawn, _shape(x), span)


def require_observed(drawn: tuple[int, ...], observed: tuple[int, ...], span: Span | None) -> None:
    """Raise E704 unless a draw has the shape of what is observed."""
    if drawn != observed:
        raise fail(
            "E704",
            f"what is observed has {_show(observed)}, and the distribution draws {_show(drawn)}",
            span=span,
            hint=_HINT,
        )


def sized_as(dist: RValue, x: RValue) -> RValue:
    """The law of one element, observed for every element of an array, as a law of such arrays."""
    if not (
        isinstance(dist, Dist)
        and PRIMITIVES[dist.name].kind == "elementwise"
        and T.rank(dist.type.item)
        and not any(map(_shape, dist.args))
    ):
        return dist
    shape = _shape(x)
    first = to_arr(dist.args[0])
    data = jnp.expand_dims(first.data, tuple(range(len(first.axes), len(first.axes) + len(shape))))
    data = jnp.broadcast_to(data, (*(a.size for a in first.axes), *shape))
    return replace(dist, args=(Arr(data, first.axes), *dist.args[1:]))


def _shape(v: RValue) -> tuple[int, ...]:
    """The event shape of an array, as far as it is known; of anything else ()."""
    if isinstance(v, Seq):
        return (v.length,)
    return tuple(v.event_shape) if isinstance(v, Arr) else ()


def _show(shape: tuple[int, ...]) -> str:
    """`3 elements`, `2 x 3 elements`, `one number`."""
    if not shape:
        return "one number"
    return " x ".join(map(str, shape)) + (" element" if shape == (1,) else " elements")
