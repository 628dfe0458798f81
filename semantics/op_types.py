"""The type of a primitive applied to arguments of given types, from the table of signatures.

The checker infers types; this derives them again, for the verifier and for reading the IR's text.
Where the checker knows a smaller range than the table (1 - p, x ^ 2, exp(-x)), the IR's node has
the smaller type, and `accepts` takes its word for it: ranges follow from values, not types alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ppl.semantics.ir_tokens import read_type
from ppl.semantics.signatures import (
    ALIASES,
    COERCIONS,
    METHODS,
    ON_TEXTS,
    PRIMITIVES,
    Distribution,
)
from ppl.semantics.subtypes import below, join
from ppl.semantics.types import (
    BIT,
    BOOL,
    INT,
    MAP,
    NAT,
    NUMBERS,
    POS,
    PROB,
    REAL,
    TEXT,
    Array,
    Base,
    Data,
    Dist,
    Fun,
    Measure,
    Tuple,
    Type,
    is_number,
    is_real,
    rank,
)

Args = tuple[Type, ...]


class TypeFault(Exception):
    """Types that do not fit; the message says which."""


def op_type(op: str, args: Args) -> Type:
    """The least type of `op` at these arguments. Raises TypeFault."""
    if op in COERCIONS:
        return _coercion(op, args)
    row = PRIMITIVES.get(op) or METHODS.get(op)
    if row is None:
        wanted = ALIASES.get((op, len(args))) or ALIASES.get((op, None))
        raise TypeFault(f"no primitive `{op}`" + (f": the IR says `{wanted}`" if wanted else ""))
    if op in _RULES:
        return _RULES[op](args)
    if row.kind == "rule":
        raise TypeFault(f"no rule for `{op}`")
    if row.params[-1:] != ("...",) and len(args) != len(row.params):
        raise TypeFault(f"`{op}` takes {len(row.params)} arguments, not {len(args)}")
    if row.kind == "plain":
        return _plain(op, args)
    if row.kind == "reduction":
        return _overload(op, tuple(map(element, args)))
    ranks = {rank(a) for a in args} - {0}
    if len(ranks) > 1:
        raise TypeFault(f"`{op}` of {_show(args)}: arrays of different rank")
    out = _overload(op, tuple(map(element, args)))
    for _ in range(max(ranks, default=0)):
        out = Array(out)
    return Dist(out) if isinstance(row, Distribution) else out


def accepts(op: str, derived: Type, claimed: Type) -> bool:
    """Whether a node whose type derives as `derived` may claim the type `claimed`.

    Wider is always right. A scalar distribution may be spread over an array it is observed at, and
    functions of numbers may have a smaller range, of the same kind and rank, than their row says.
    """
    if below(derived, claimed):
        return True
    if op == "empty_map":
        return isinstance(claimed, Data) and claimed.name == MAP
    row = PRIMITIVES.get(op)
    if isinstance(row, Distribution) and row.kind == "elementwise":
        return (
            isinstance(derived, Dist)
            and isinstance(claimed, Dist)
            and rank(derived.item) in (0, rank(claimed.item))
            and below(derived.item, element(claimed.item))
        )
    if row is None or row.kind == "plain" and op != "dot" or rank(derived) != rank(claimed):
        return False
    a, b = element(derived), element(claimed)
    return is_number(a) and is_number(b) and is_real(a) == is_real(b)


def element(t: Type) -> Type:
    """The type of the elements of an array of any rank."""
    while isinstance(t, Array):
        t = t.item
    return t


def _show(args: Args) -> str:
    return f"({', '.join(map(str, args))})"


# ------------------------------------------------------------------------- scalars and reductions


@cache
def _scalar_overloads(op: str) -> tuple[tuple[Args, Type], ...]:
    out = []
    for text in (*PRIMITIVES[op].signatures, *filter(None, [ON_TEXTS.get(op)])):
        params, _, result = text.rpartition("->")
        out.append(
            (tuple(read_type(p.strip()) for p in params.split(",")), read_type(result.strip()))
        )
    return tuple(out)


def _overload(op: str, args: Args) -> Type:
    for params, result in _scalar_overloads(op):
        if len(params) == len(args) and all(
            below(a, p, across_kinds=True) for a, p in zip(args, params, strict=True)
        ):
            return result
    raise TypeFault(f"`{op}` does not take {_show(args)}")


# ------------------------------------------------------------------------------------ type schemes


@cache
def _schemes(op: str) -> tuple[Fun, ...]:
    schemes = tuple(read_type(text) for text in (PRIMITIVES.get(op) or METHODS[op]).signatures)
    if not all(isinstance(s, Fun) for s in schemes):
        raise TypeFault(f"the row of `{op}` is not a function type")
    return schemes  # type: ignore[return-value]


def _plain(op: str, args: Args) -> Type:
    for scheme in _schemes(op):
        variables: dict[str, Type] = {}
        if len(scheme.params) == len(args) and all(
            _fits(a, p, variables) for a, p in zip(args, scheme.params, strict=True)
        ):
            return _fill(scheme.result, variables)
    raise TypeFault(f"`{op}` does not take {_show(args)}")


def _variable(t: Type) -> str | None:
    return t.name if isinstance(t, Data) and len(t.name) == 1 and not t.args else None


def _fits(arg: Type, param: Type, variables: dict[str, Type]) -> bool:
    """Whether `arg` is an instance of `param`, widening the types that its variables stand for."""
    name = _variable(param)
    if name is not None:
        joined = join(variables[name], arg) if name in variables else arg
        if joined is None:
            return False
        variables[name] = joined
        return True
    match arg, param:
        case (Array(x), Array(p)) | (Dist(x), Dist(p) | Measure(p)) | (Measure(x), Measure(p)):
            return _fits(x, p, variables)
        case (Tuple(xs), Tuple(ps)) if len(xs) == len(ps):
            return all(_fits(x, p, variables) for x, p in zip(xs, ps, strict=True))
        case (Data(m, xs), Data(n, ps)) if m == n and len(xs) == len(ps):
            return all(_fits(x, p, variables) for x, p in zip(xs, ps, strict=True))
        case (Fun(xs, r), Fun(ps, s)) if len(xs) == len(ps):
            # a variable in a parameter is met by what the function accepts or more
            met = all(_accepts_parameter(x, p, variables) for x, p in zip(xs, ps, strict=True))
            return met and _fits(r, s, variables)
        case _:
            return below(arg, param, across_kinds=True)


def _accepts_parameter(accepted: Type, param: Type, variables: dict[str, Type]) -> bool:
    name = _variable(param)
    if name is None:
        return below(param, accepted)
    variables.setdefault(name, accepted)
    return join(variables[name], accepted) is not None


def _fill(t: Type, variables: dict[str, Type]) -> Type:
    name = _variable(t)
    if name is not None:
        return variables.get(name, t)
    match t:
        case Array(x) | Dist(x) | Measure(x):
            return type(t)(_fill(x, variables))
        case Tuple(items):
            return Tuple(tuple(_fill(i, variables) for i in items))
        case Data(n, items):
            return Data(n, tuple(_fill(i, variables) for i in items))
        case Fun(params, result):
            return Fun(tuple(_fill(p, variables) for p in params), _fill(result, variables))
        case _:
            return t


# ------------------------------------------------------------------------------------------- rules


def _coercion(op: str, args: Args) -> Type:
    if len(args) != 1 or not is_number(element(args[0])):
        raise TypeFault(f"`{op}` does not take {_show(args)}")
    (arg,) = args
    scalar = element(arg)
    assert isinstance(scalar, Base)
    if op == "to_real":
        scalar = {BIT: PROB, NAT: POS, INT: REAL}.get(scalar, scalar)
    else:
        scalar = BOOL if op == "checked_bool" else NUMBERS[op.removeprefix("checked_")]
    for _ in range(rank(arg)):
        scalar = Array(scalar)
    return scalar


def _array(op: str, args: Args, at: int = 0) -> Array:
    if at >= len(args) or not isinstance(args[at], Array):
        raise TypeFault(f"`{op}` of {_show(args)}: argument {at + 1} is not an array")
    return args[at]  # type: ignore[return-value]


def _integers(op: str, args: Args) -> None:
    for arg in args:
        if not below(element(arg), INT):
            raise TypeFault(f"`{op}`: an index of type {arg}")


def _compare(args: Args) -> Type:
    if len(args) != 2:
        raise TypeFault("a comparison takes two arguments")
    a, b = args
    if join(a, b, across_kinds=True) is not None:
        return BOOL
    raise TypeFault(f"{a} and {b} are not compared")


def _index(args: Args) -> Type:
    if args[0] == TEXT:
        _integers("index", args[1:])
        return TEXT
    item: Type = _array("index", args).item
    if len(args) != 2:
        raise TypeFault("`index` takes an array and an index")
    _integers("index", args[1:])
    for _ in range(rank(args[1])):
        item = Array(item)
    return item


def _slice(args: Args) -> Type:
    _integers("slice", args[1:])
    if len(args) != 3:
        raise TypeFault("`slice` takes an array and two ends")
    return TEXT if args[0] == TEXT else _array("slice", args)


def _columns(args: Args) -> Type:
    row = _array("columns", args).item
    return Array(_index((row, *args[1:])))


def _columns_slice(args: Args) -> Type:
    row = _array("columns_slice", args).item
    return Array(_slice((row, *args[1:])))


def _zip(args: Args) -> Type:
    if len(args) < 2:
        raise TypeFault("`zip` takes two or more arrays")
    return Array(Tuple(tuple(_array("zip", args, i).item for i in range(len(args)))))


def _matmul(args: Args) -> Type:
    if len(args) != 2 or not {rank(a) for a in args} <= {1, 2}:
        raise TypeFault(f"`@` of {_show(args)}")
    out = _overload("sum", (_overload("mul", tuple(map(element, args))),))
    for _ in range(sum(map(rank, args)) - 2):
        out = Array(out)
    return out


_RULES: dict[str, Callable[[Args], Type]] = {
    "eq": _compare,
    "ne": _compare,
    "index": _index,
    "slice": _slice,
    "columns": _columns,
    "columns_slice": _columns_slice,
    "zip": _zip,
    "matmul": _matmul,
}
