"""Values of the IR: one rule a node."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import functions as F
from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.machine.texts import TEXTS
from ppl.semantics.signatures import OPERATORS, PRIMITIVES, Distribution
from ppl.semantics.statistics import BY_ZERO, NEEDED, tested, too_few
from ppl.semantics.xla import arrays, faults
from ppl.semantics.xla.axes import Arr, Coupled, batched, einsum, elementwise, full, refuse_closed
from ppl.semantics.xla.dists import float_params
from ppl.semantics.xla.lanes import lanes
from ppl.semantics.xla.sizes import check_sizes
from ppl.semantics.xla.state import Env, Scope
from ppl.semantics.xla.values import (
    Closure,
    Code,
    Dist,
    GlobalFn,
    Rec,
    RValue,
    Seq,
    Static,
    Suspension,
    captured,
    elements,
    is_constant,
    length,
    map_leaves,
    to_arr,
)


def value(node: ir.Value, env: Env, scope: Scope) -> RValue:
    """Evaluate a pure node."""
    try:
        return _RULES[type(node)](node, env, scope)
    except Coupled as error:
        raise coupled(error, node.span) from None


def coupled(error: Coupled, span: Span | None) -> DiagnosticError:
    return fail(
        "E805",
        f"the choices of `{error.plate.name}` cannot be summed out: this mixes different elements "
        "of their array, or those of two arrays",
        span=span,
        hint="use each element only inside a `for` over the array, or sample the sites "
        "(importance, smc, mcmc)",
    )


def _lit(node: ir.Lit, env: Env, scope: Scope) -> RValue:
    v = node.value
    return Static(v) if isinstance(v, str) else _fitting(v, node.span)


def _fitting(v: RValue, span: Span | None) -> RValue:
    """A constant, which must fit the whole numbers of this precision."""
    if isinstance(v, int) and abs(v) > jnp.iinfo(jnp.result_type(int)).max:
        raise fail(
            "E710",
            "a whole number is too large",
            span=span,
            hint="write it as a real number, such as `1e30` or `10.0 ^ 30`",
        )
    return v


def _var(node: ir.Var, env: Env, scope: Scope) -> RValue:
    return env[node.name]


def _global(node: ir.Global, env: Env, scope: Scope) -> RValue:
    return GlobalFn(node.name)


def _lam(node: ir.Lam, env: Env, scope: Scope) -> RValue:
    names = tuple(sorted(node.free))
    return Closure(Code(node), names, tuple(captured(env[n]) for n in names))


def _thunk(node: ir.Thunk, env: Env, scope: Scope) -> RValue:
    names = tuple(sorted(node.free))
    return Suspension(Code(node.body), names, tuple(captured(env[n]) for n in names))


def _tuple(node: ir.MakeTuple, env: Env, scope: Scope) -> RValue:
    return tuple(value(v, env, scope) for v in node.items)


def _record(node: ir.MakeRecord, env: Env, scope: Scope) -> RValue:
    return Rec(node.names, tuple(value(v, env, scope) for v in node.items))


def _array(node: ir.MakeArray, env: Env, scope: Scope) -> RValue:
    assert isinstance(node.type, T.Array)
    return arrays.stack([value(v, env, scope) for v in node.items], node.type.item, node.span)


def _proj(node: ir.Proj, env: Env, scope: Scope) -> RValue:
    return value(node.value, env, scope)[node.index]


def _get(node: ir.Get, env: Env, scope: Scope) -> RValue:
    return value(node.value, env, scope).get(node.name)


def _make(node: ir.Make, env: Env, scope: Scope) -> RValue:
    raise fail(
        "E706",
        f"values of inductive types (`{node.constructor}`) do not run on XLA",
        span=node.span,
        hint="run with engine='machine'",
    )


def _op(node: ir.Op, env: Env, scope: Scope) -> RValue:
    args = [value(v, env, scope) for v in node.args]
    if any(isinstance(a, Static) and isinstance(a.value, str) for a in args) or node.type == T.TEXT:
        return texts(node, args)
    if node.op in _SPECIAL:
        return _SPECIAL[node.op](node, args, scope)
    row = PRIMITIVES[node.op]
    if isinstance(row, Distribution):
        check_sizes(node, args)
        for k in row.static:
            args[k] = Static(
                arrays.static_int(args[k], f"argument {k + 1} of `{node.op}`", node.span)
            )
        if row.finite and row.kind == "elementwise":  # counts say how many values there are
            reals = float_params(node.op)
            args = [a if real else captured(a) for a, real in zip(args, reals, strict=True)]
        return Dist(node.op, tuple(args), node.type)
    if node.op in ("floordiv", "mod"):
        args[1] = _divisor(node, args[1], scope)
    if node.op in NEEDED:
        _check_enough(node, to_arr(args[0]), scope)
    return apply_primitive(node.op, args, node.span)


def _divisor(node: ir.Op, b: RValue, scope: Scope) -> RValue:
    """A whole number that something is divided by: zero is an error where it is met."""
    if is_constant(b):
        if type(b) is not int or b != 0:
            return b
        if scope.mask is None and all(axis.size for axis in scope.axes):
            raise fail("E727", _BY_ZERO, span=node.span, hint=BY_ZERO)
    x = to_arr(b)
    if not jnp.issubdtype(x.dtype, jnp.integer):
        return b
    zero = elementwise(lambda v: v == 0, x)
    faults.note(scope, zero, "E727", _BY_ZERO, node.span)
    return elementwise(lambda v: jnp.where(v == 0, 1, v), x)


_BY_ZERO = "a whole number is divided by zero"


def _check_enough(node: ir.Op, xs: Arr, scope: Scope) -> None:
    """A statistic of too few numbers is an error where it is computed, if it is."""
    problem = too_few(node.op, math.prod(xs.event_shape))
    if problem is None:
        return
    if scope.mask is None and all(axis.size for axis in scope.axes):
        raise fail("E719", problem, span=node.span, hint=tested(node.op))
    somewhere = jnp.ones([axis.size for axis in scope.axes], bool)
    faults.note(scope, Arr(somewhere, scope.axes), "E719", problem, node.span)


def texts(node: ir.Op, args: list[RValue]) -> RValue:
    """A primitive on texts, which are known while compiling, as the machine computes it."""
    if node.op in ("eq", "ne"):
        return equal(args[0], args[1], node.span) == (node.op == "eq")
    known = [a.value if isinstance(a, Static) else a for a in args]
    if not all(isinstance(a, (bool, int, float, str)) for a in known):
        raise fail(
            "E706",
            "a text that depends on data or draws does not run on XLA",
            span=node.span,
            hint="run with engine='machine'",
        )
    match node.op:
        case "index":
            return Static(_character(*known, node.span))
        case "slice":
            s, lo, hi = known
            if not 0 <= lo <= hi <= len(s):
                message = f"the slice {lo}:{hi} leaves a text of length {len(s)}"
                raise fail("E703", message, span=node.span)
            return Static(s[lo:hi])
        case "len":
            return len(known[0])
    if node.op == "text" and T.is_real(node.args[0].type):
        known = [float(known[0])]
    out = (TEXTS.get(node.op) or _FOLD[node.op])(*known)
    return Static(out) if isinstance(out, str) else out


def _character(s: str, i: int, span: Span | None) -> str:
    if not 0 <= i < len(s):
        message = f"index {i} is out of range for a text of length {len(s)}"
        raise fail("E709", message, span=span)
    return s[i]


def apply_primitive(op: str, args: list[Any], span: Span | None) -> RValue:
    """A numeric primitive on run-time values; constants are folded."""
    if all(isinstance(a, (bool, int, float)) for a in args) and op in F.ELEMENTWISE:
        try:
            return _fitting(_FOLD[op](*args), span)
        except (KeyError, ArithmeticError, ValueError):  # the array version knows, or gives inf
            with jax.ensure_compile_time_eval():
                return F.ELEMENTWISE[op](*(to_arr(a).data for a in args)).item()
    if not any(op in table for table in (F.ELEMENTWISE, F.REDUCTIONS, F.EINSUM, F.BATCHED)):
        raise fail(
            "E706", f"`{op}` does not run on XLA", span=span, hint="run with engine='machine'"
        )
    arrs = [to_arr(a) for k, a in enumerate(args) if k not in PRIMITIVES[op].static]
    if op in F.ELEMENTWISE:
        if len({a.event_shape for a in arrs if a.event_rank}) > 1:
            raise misshaped(op, arrs, span)
        return elementwise(F.ELEMENTWISE[op], *arrs)
    if op in F.REDUCTIONS:
        return _reduce(op, arrs[0])
    if op in F.EINSUM:
        spec = F.EINSUM[op](*(a.event_rank for a in arrs))
        if not _contractible(spec, arrs):
            raise misshaped(op, arrs, span)
        return einsum(spec, *arrs)
    if op in _SQUARE and len(set(arrs[0].event_shape)) > 1:
        raise misshaped(op, arrs, span)
    static = {
        k: arrays.static_int(args[k], f"argument {k + 1} of `{op}`", span)
        for k in PRIMITIVES[op].static
    }

    def call(*data: Any) -> Any:
        it = iter(data)
        return F.BATCHED[op](*(static[k] if k in static else next(it) for k in range(len(args))))

    try:
        return batched(call, *arrs) if arrs else Arr(call())
    except (TypeError, ValueError):  # what a function of arrays raises while it is traced
        raise misshaped(op, arrs, span) from None


#: primitives of one square matrix, and what is as long as its sides
_SQUARE = frozenset(
    "cholesky inverse log_det solve solve_triangular diagonal add_diag trace".split()
)


def _contractible(spec: str, arrs: list[Arr]) -> bool:
    """Whether dimensions of one letter have one size."""
    sizes: dict[str, int] = {}
    return all(
        sizes.setdefault(letter, n) == n
        for letters, a in zip(spec.split("->")[0].split(","), arrs, strict=True)
        for letter, n in zip(letters, a.event_shape, strict=True)
    )


def misshaped(op: str, arrs: list[Arr], span: Span | None) -> DiagnosticError:
    shown = next((symbol for symbol, name in OPERATORS.items() if name == op), op)
    return fail(
        "E704",
        f"`{shown}` of {arrays.shapes(arrs)}",
        span=span,
        hint="look at the sizes of the data that these arrays come from",
    )


def _reduce(op: str, x: Arr) -> Arr:
    refuse_closed(x)
    k = len(x.axes)
    return full(F.REDUCTIONS[op](x.data, tuple(range(k, k + x.event_rank))), x.axes)


# ---------------------------------------------------------------------------------- constants


def _fold_pow(a: float, b: float) -> float:
    out = a**b
    if isinstance(out, complex):
        raise ValueError
    return out


#: primitives on Python numbers, which say exactly what JAX says
_FOLD: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": _fold_pow,
    "neg": operator.neg,
    "lt": operator.lt,
    "gt": operator.gt,
    "le": operator.le,
    "ge": operator.ge,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": operator.not_,
    "min": min,
    "max": max,
    "abs": abs,
    "square": lambda a: a * a,
    "indicator": int,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
}


# ------------------------------------------------------------------------------ structural rules


def equal(a: RValue, b: RValue, span: Span | None) -> RValue:
    """`==` on any comparable values."""
    match a, b:
        case Static(), Static():
            return a.value == b.value
        case Seq(items=items, length=n), Seq():
            return n == b.length and (n == 0 or equal(items, b.items, span))
        case tuple(), tuple():
            parts = [equal(x, y, span) for x, y in zip(a, b, strict=True)]
        case Rec(names=names), Rec():
            parts = [equal(a.get(n), b.get(n), span) for n in names]
        case _ if is_constant(a) and is_constant(b):
            return a == b
        case _:
            x, y = to_arr(a), to_arr(b)
            if x.event_shape != y.event_shape and x.event_rank and y.event_rank:
                return False
            same = elementwise(jnp.equal, x, y)
            return _reduce("all", same) if same.event_rank else same
    out: RValue = True
    for p in parts:
        out = apply_primitive("and", [out, p], span)
    return out


def _index(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    _check_index(node, args[1], length(args[0]), scope)
    return arrays.index(args[0], args[1], node.span)


def _columns(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    _check_index(node, args[1], length(elements(arrays.transpose(args[0]))), scope)
    return arrays.columns(args[0], args[1], node.span)


def _check_index(node: ir.Op, i: RValue, n: int, scope: Scope) -> None:
    if scope.faults is None or not isinstance(i, Arr):
        return
    if i.index is not None and i.index[0] is not None and 0 <= i.index[1] <= n - i.index[0].size:
        return
    bad = elementwise(lambda k: (k < 0) | (k >= n), i)
    faults.note(scope, bad, "E709", f"index out of range of an array of length {n}", node.span)


def _bounds(node: ir.Op, args: list[RValue]) -> tuple[int, int]:
    lo, hi = (arrays.static_int(a, "the end of a slice", node.span) for a in args)
    return lo, hi


def _columns_slice(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    flipped = arrays.slice_array(arrays.transpose(args[0]), *_bounds(node, args[1:]), node.span)
    return arrays.transpose(flipped)


def _range(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    ends = [arrays.static_int(a, "the size of a range", node.span) for a in args]
    return arrays.arange(*(ends if len(ends) == 2 else (0, ends[0])))


def _enumerate(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    n = length(args[0])
    return Seq((arrays.arange(0, n), elements(args[0])), n)


def _repeat(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    return arrays.repeat(args[0], arrays.static_int(args[1], "the number of copies", node.span))


def _reverse(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    from ppl.semantics.xla.values import map_elements

    return map_elements(lambda d: d[::-1], args[0], length(args[0]))


def _arith_index(op: str) -> Callable[[ir.Op, list[RValue], Scope], RValue]:
    """Adding a constant to the loop's own index keeps it a known position."""

    def rule(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
        out = apply_primitive(op, args, node.span)
        a, b = args
        if isinstance(a, Arr) and a.index is not None and type(b) is int:
            k = a.index[1] + (b if op == "add" else -b)
            return Arr(out.data, out.axes, (a.index[0], k))
        if op == "add" and isinstance(b, Arr) and b.index is not None and type(a) is int:
            return Arr(out.data, out.axes, (b.index[0], b.index[1] + a))
        return out

    return rule


def _to_real(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    a = args[0]
    if isinstance(a, (bool, int)):
        return float(a)
    return map_leaves(lambda x: Arr(jnp.asarray(x.data, jnp.result_type(float)), x.axes), a)


_ROUNDING = 1e-9

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


def _checked(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    _check(node, args[0], scope)
    return args[0]


def _checked_prob(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    """Numbers that leave [0, 1] by rounding are read as its ends; others have been noted."""
    a = args[0]
    _check(node, a, scope)
    if is_constant(a):
        return min(max(a, 0), 1)
    return map_leaves(lambda x: elementwise(_rounded_prob, x), a)


def _rounded_prob(x: Any) -> Any:
    x = jnp.where((x > 1) & (x <= 1 + _ROUNDING), 1.0, x)
    return jnp.where((x < 0) & (x >= -_ROUNDING), 0.0, x)


def _checked_int(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    a = args[0]
    _check(node, a, scope)
    if is_constant(a):
        return int(a)
    return map_leaves(lambda x: Arr(jnp.asarray(x.data, jnp.result_type(int)), x.axes), a)


def _checked_bool(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    a = args[0]
    if is_constant(a):
        return bool(a)
    return map_leaves(lambda x: Arr(x.data != 0, x.axes), a)


def _score_if(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    if isinstance(args[0], bool):
        return 0.0 if args[0] else -math.inf
    return elementwise(lambda c: jnp.where(c, 0.0, -jnp.inf), to_arr(args[0]))


def _ode(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    from ppl.semantics.xla.run import apply

    rhs, y0, t0, ts, rtol, atol = args
    times = length(ts)

    def solve(rhs: RValue, y0: RValue, t0: RValue, ts: Arr, rtol: RValue, atol: RValue) -> RValue:
        inside = replace(scope, faults=None, mask=None)

        def field(t: Any, y: RValue) -> RValue:
            return map_leaves(lambda a: a, apply(rhs, (Arr(t), y), inside))

        start = map_leaves(lambda a: Arr(jnp.asarray(a.data, jnp.result_type(float))), y0)
        return F.solve_ode(
            field,
            start,
            to_arr(t0).data,
            ts.data,
            to_arr(rtol).data,
            to_arr(atol).data,
            stiff=node.op == "ode_stiff",
        )

    return arrays.as_array(lanes(solve, rhs, y0, t0, ts, rtol, atol), times)


def _log_prob(node: ir.Op, args: list[RValue], scope: Scope) -> RValue:
    from ppl.semantics.xla.run import density

    score, waits = density(args[0], args[1], scope, node.span)
    if waits:
        raise Coupled(waits[0])
    return score


_SPECIAL: dict[str, Callable[[ir.Op, list[RValue], Scope], RValue]] = {
    "log_prob": _log_prob,
    "add": _arith_index("add"),
    "sub": _arith_index("sub"),
    "eq": lambda node, args, scope: equal(args[0], args[1], node.span),
    "ne": lambda node, args, scope: apply_primitive(
        "not", [equal(args[0], args[1], node.span)], node.span
    ),
    "index": _index,
    "slice": lambda node, args, scope: arrays.slice_array(
        args[0], *_bounds(node, args[1:]), node.span
    ),
    "columns": _columns,
    "columns_slice": _columns_slice,
    "zip": lambda node, args, scope: arrays.zip_arrays(args, node.span),
    "len": lambda node, args, scope: length(args[0]),
    "range": _range,
    "range_from": _range,
    "enumerate": _enumerate,
    "concat": lambda node, args, scope: arrays.concat(args[0], args[1], node.span),
    "reverse": _reverse,
    "repeat": _repeat,
    "transpose": lambda node, args, scope: arrays.transpose(args[0]),
    "flatten": lambda node, args, scope: arrays.flatten(to_arr(args[0])),
    "to_real": _to_real,
    "checked_nat": _checked,
    "checked_pos": _checked,
    "checked_prob": _checked_prob,
    "checked_int": _checked_int,
    "checked_bool": _checked_bool,
    "score_if": _score_if,
    "ode": _ode,
    "ode_stiff": _ode,
}

_RULES: dict[type, Callable[[Any, Env, Scope], RValue]] = {
    ir.Lit: _lit,
    ir.Var: _var,
    ir.Global: _global,
    ir.Lam: _lam,
    ir.Thunk: _thunk,
    ir.Op: _op,
    ir.MakeTuple: _tuple,
    ir.MakeRecord: _record,
    ir.MakeArray: _array,
    ir.Proj: _proj,
    ir.Get: _get,
    ir.Make: _make,
}
