"""Numbers that an operation does not allow: errors if known while compiling, else faults of lanes.

Lanes go on with a number that is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.statistics import BY_ZERO, tested, too_few
from ppl.semantics.xla import faults
from ppl.semantics.xla.axes import Arr, elementwise
from ppl.semantics.xla.state import Scope
from ppl.semantics.xla.values import RValue, is_constant, map_leaves, to_arr


def divisor(node: ir.Op, b: RValue, scope: Scope) -> RValue:
    """A whole number that something is divided by: zero is an error where it is met."""
    if is_constant(b):
        if type(b) is not int or b != 0:
            return b
        if _is_run(scope):
            raise fail("E727", _BY_ZERO, span=node.span, hint=BY_ZERO)
    x = to_arr(b)
    if not jnp.issubdtype(x.dtype, jnp.integer):
        return b
    zero = elementwise(lambda v: v == 0, x)
    faults.note(scope, zero, "E727", _BY_ZERO, node.span)
    return elementwise(lambda v: jnp.where(v == 0, 1, v), x)


_BY_ZERO = "a whole number is divided by zero"


def _is_run(scope: Scope) -> bool:
    """Whether some lane surely computes what is at hand."""
    return scope.mask is None and all(axis.size for axis in scope.axes)


def check_enough(node: ir.Op, xs: Arr, scope: Scope) -> None:
    """A statistic of too few numbers is an error where it is computed, if it is."""
    problem = too_few(node.op, math.prod(xs.event_shape))
    if problem is None:
        return
    if _is_run(scope):
        raise fail("E719", problem, span=node.span, hint=tested(node.op))
    somewhere = jnp.ones([axis.size for axis in scope.axes], bool)
    faults.note(scope, Arr(somewhere, scope.axes), "E719", problem, node.span)


def check_index(node: ir.Op, i: RValue, n: int, scope: Scope) -> None:
    """An index that leaves an array of n elements is a fault where it is read."""
    if scope.faults is None or not isinstance(i, Arr):
        return
    if i.index is not None and i.index[0] is not None and 0 <= i.index[1] <= n - i.index[0].size:
        return
    bad = elementwise(lambda k: (k < 0) | (k >= n), i)
    faults.note(scope, bad, "E709", f"index out of range of an array of length {n}", node.span)


# -------------------------------------------------------------------------------- checked casts


_ROUNDING = 1e-9
#: in `Scope.record`: runs go on with a number that is allowed where a cast fails
FORGIVEN = "forgiven"

_LEGAL: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "checked_nat": ("negative", lambda x: x >= 0),
    "checked_pos": ("negative", lambda x: x >= 0),
    "checked_prob": ("not between 0 and 1", lambda x: (x >= -_ROUNDING) & (x <= 1 + _ROUNDING)),
    "checked_int": ("not a whole number", lambda x: x % 1 == 0),
}


def _check(node: ir.Op, a: RValue, scope: Scope) -> None:
    """A number that its type does not allow is an error where it is cast (or a fault, later)."""
    what, legal = _LEGAL[node.op]
    message = f"a number cast to {node.op.removeprefix('checked_')} is {what}"
    if is_constant(a):
        if not legal(a):
            raise fail("E710", message, span=node.span)
    elif scope.faults is not None:
        map_leaves(lambda x: _note_illegal(scope, x, legal, message, node.span), a)


def _note_illegal(
    scope: Scope, x: Arr, legal: Callable[[Any], Any], message: str, span: Span | None
) -> Arr:
    faults.note(scope, elementwise(lambda v: ~legal(v), x), "E710", message, span)
    return x


#: what a run goes on with that forgives a failing cast
_ALLOWED = {"checked_nat": 0, "checked_pos": 1, "checked_prob": 0.5, "checked_int": 0}


def _checked(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    a = args[0]
    _check(node, a, scope)
    if FORGIVEN not in scope.record or is_constant(a):
        return a
    (_, legal), otherwise = _LEGAL[node.op], _ALLOWED[node.op]
    return map_leaves(lambda x: elementwise(lambda v: jnp.where(legal(v), v, otherwise), x), a)


def _checked_prob(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    """Numbers that leave [0, 1] by rounding are read as its ends; others have been noted."""
    a = _checked(node, args, scope)
    if is_constant(a):
        return min(max(a, 0), 1)
    return map_leaves(lambda x: elementwise(_rounded_prob, x), a)


def _rounded_prob(x: Any) -> Any:
    x = jnp.where((x > 1) & (x <= 1 + _ROUNDING), 1.0, x)
    return jnp.where((x < 0) & (x >= -_ROUNDING), 0.0, x)


def _checked_int(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    a = _checked(node, args, scope)
    if is_constant(a):
        return int(a)
    return map_leaves(lambda x: Arr(jnp.asarray(x.data, jnp.result_type(int)), x.axes), a)


def _checked_bool(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    a = args[0]
    if is_constant(a):
        return bool(a)
    return map_leaves(lambda x: Arr(x.data != 0, x.axes), a)


CASTS: dict[str, Callable[[ir.Op, list[RValue], Scope], RValue]] = {
    "checked_nat": _checked,
    "checked_pos": _checked,
    "checked_prob": _checked_prob,
    "checked_int": _checked_int,
    "checked_bool": _checked_bool,
}
