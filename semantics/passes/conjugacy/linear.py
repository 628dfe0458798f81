"""How values depend on a site: as it, a multiple of it, or affinely.

A form is the derivative of a value along the site, by rules of forward differentiation: the
program is linear in the site if every rule that is met is. Elements of arrays depend on one element
of an array of sites each; `at` says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span
from ppl.semantics.passes.conjugacy.build import ONE, ZERO, as_type, op, over, plus, times

#: the value is the site itself, a multiple of it, or affine in it
Kind = Literal["itself", "multiple", "affine"]


@dataclass(frozen=True)
class Whole:
    """Element i of an array is of element i of the site."""


@dataclass(frozen=True)
class Own:
    """The site's element of the iteration of the loop over it whose variable is named."""

    loop: str


WHOLE = Whole()
#: which element of the site: the only one; each its own; a loop's own; one by its index
At = None | Whole | Own | ir.Value


@dataclass(frozen=True)
class Linear:
    """A value that depends on the site. `slope` is a number, or an array of the value's shape."""

    kind: Kind
    slope: ir.Value = ONE
    at: At = None


class Broken(Exception):
    """A use of a site that breaks conjugacy: what it is, and where."""

    def __init__(self, why: str, span: Span | None):
        super().__init__(why)
        self.why, self.span = why, span


#: forms of variables; those of the components of a tuple or fields of a record; what is wrong,
#: said when it is used
Form = Linear | tuple["Form | None", ...] | Broken
Forms = Mapping[str, Form]


def depends(node: ir.Node, forms: Forms) -> bool:
    return not forms.keys().isdisjoint(node.free)


def form(v: ir.Value, forms: Forms) -> Linear | None:
    """How a value depends on the site; None if it does not. Raises Broken if not linearly."""
    found = any_form(v, forms)
    if isinstance(found, tuple):
        raise Broken("it is used with other values, as one", v.span)
    return found


def any_form(v: ir.Value, forms: Forms) -> Linear | tuple[Form | None, ...] | None:
    """As `form`, but for tuples the forms of their components."""
    if not depends(v, forms):
        return None
    match v:
        case ir.Var(name=name):
            found = forms[name]
        case ir.Proj(value=whole, index=index):
            parts = any_form(whole, forms)
            found = parts[index] if isinstance(parts, tuple) else _not_linear(v)
        case ir.Get(value=whole, name=name):
            parts = any_form(whole, forms)
            names = [k for k, _ in whole.type.fields]  # type: ignore[attr-defined]
            found = parts[names.index(name)] if isinstance(parts, tuple) else _not_linear(v)
        case ir.MakeTuple(items=items) | ir.MakeRecord(items=items):
            return tuple(_or_broken(i, forms) for i in items)
        case ir.Op():
            return _op(v, forms)
        case _:
            found = _not_linear(v)
    if isinstance(found, Broken):
        raise found
    return found


def _or_broken(v: ir.Value, forms: Forms) -> Form | None:
    try:
        return any_form(v, forms)
    except Broken as error:
        return error


def _not_linear(v: ir.Value) -> Broken:
    what = f"`{v.op}`" if isinstance(v, ir.Op) else "this"
    return Broken(f"{what} is not linear in it", v.span)


def _op(v: ir.Op, forms: Forms) -> Linear | tuple[Form | None, ...] | None:
    if v.op == "zip":
        return tuple(_or_broken(a, forms) for a in v.args)
    if v.op == "enumerate":
        return None, _or_broken(v.args[0], forms)
    if v.op == "len":
        return None
    parts = [form(a, forms) for a in v.args]
    if all(p is None for p in parts):
        return None
    match v.op, parts:
        case ("to_real" | "checked_real" | "checked_pos" | "checked_prob", [Linear() as a]):
            return a
        case "add", [a, b]:
            return _added(v, a, b)
        case "sub", [a, b]:
            return _added(v, a, None if b is None else _scaled(b, op("neg", b.slope)))
        case "neg", [Linear() as a]:
            return _scaled(a, op("neg", a.slope))
        case "mul", [Linear() as a, None]:
            return _scaled(a, times(a.slope, v.args[1]))
        case "mul", [None, Linear() as b]:
            return _scaled(b, times(v.args[0], b.slope))
        case "div", [Linear() as a, None]:
            return _scaled(a, over(a.slope, v.args[1]))
        case "index", [Linear() as a, None]:
            return _indexed(v, a)
        case _ if v.op in _LINEAR and all(p is None or p.at is None for p in parts):
            return _array(v, parts)
        case _:
            raise _not_linear(v)


def _scaled(a: Linear, slope: ir.Value) -> Linear:
    return replace(a, kind="affine" if a.kind == "affine" else "multiple", slope=slope)


def _added(v: ir.Op, a: Linear | None, b: Linear | None) -> Linear:
    if a is None or b is None:
        (one,) = (x for x in (a, b) if x is not None)
        return replace(one, kind="affine")
    if a.at != b.at:
        raise Broken("it meets another element of its array here", v.span)
    kind: Kind = "affine" if "affine" in (a.kind, b.kind) else "multiple"
    return Linear(kind, plus(a.slope, b.slope), a.at)


def _indexed(v: ir.Op, a: Linear) -> Linear:
    i = v.args[1]
    slope = op("index", a.slope, i) if isinstance(a.slope.type, T.Array) else a.slope
    match a.at:
        case None:
            return replace(a, slope=slope)
        case Whole() if isinstance(i, ir.Lit):  # a literal may count from the end
            n = op("len", v.args[0])
            back = isinstance(i.value, int) and i.value < 0
            return replace(a, slope=slope, at=op("add", n, i, type=T.NAT) if back else i)
        case Whole():
            return replace(a, slope=slope, at=i)
        case ir.Value(type=T.Array()):
            return replace(a, slope=slope, at=op("index", a.at, i))
        case _:
            raise _not_linear(v)


#: linear in each argument, of arrays that belong to a single site
_LINEAR = frozenset(
    "sum mean dot matmul repeat reverse flatten transpose concat cumsum diff".split()
)


def _array(v: ir.Op, parts: list[Linear | None]) -> Linear:
    """A linear operation of whole arrays: that of the slopes, if one argument depends."""
    if v.op == "concat":
        slopes = [ZERO if p is None else p.slope for p in parts]
    elif sum(p is not None for p in parts) == 1:
        slopes = [a if p is None else p.slope for a, p in zip(v.args, parts, strict=True)]
    else:
        raise _not_linear(v)
    if v.op != "repeat":
        slopes = [_as_wide(s, a) for s, a in zip(slopes, v.args, strict=True)]
    if v.op == "concat":
        slopes = [as_type(s, T.Array(T.REAL)) for s in slopes]
    affine = v.op == "concat" or any(p is not None and p.kind == "affine" for p in parts)
    return Linear("affine" if affine else "multiple", op(v.op, *slopes))


def _as_wide(slope: ir.Value, of: ir.Value) -> ir.Value:
    """A slope of the shape of what it is of."""
    if T.rank(slope.type) == T.rank(of.type):
        return slope
    if T.rank(of.type) > 1:
        raise Broken("it is spread over a matrix", of.span)
    return op("repeat", slope, op("len", of))
