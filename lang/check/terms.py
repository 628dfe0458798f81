"""Shapes of types: terms for Hindley-Milner inference, in which all numbers are one type.

`dist` and `measure` are one constructor here as well; kinds and ranges of numbers, and which
measures are distributions, are the matter of a second phase (`flow`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ppl.semantics import types as ty


class Term:
    __slots__ = ()


class Meta(Term):
    """An unknown. `link` is its solution, `waiting` what to try again once it is known."""

    __slots__ = ("link", "waiting")

    def __init__(self) -> None:
        self.link: Term | None = None
        self.waiting: list[Any] = []


class Con(Term):
    """A constructor. Heads: names of base types, `array`, `tuple`, `fun` (result last), `measure`,
    ("record", names) and ("data", name)."""

    __slots__ = ("head", "args")

    def __init__(self, head: Any, args: tuple[Term, ...] = ()) -> None:
        self.head = head
        self.args = args


NUM, BOOL, TEXT, UNIT = Con("num"), Con("bool"), Con("text"), Con("unit")
#: stands for anything, after an error has been reported
ERROR = Con("error")
_BASES = {"bool": BOOL, "text": TEXT, "unit": UNIT} | {n: Con(n) for n in ty.OPAQUE}


def array(item: Term, depth: int = 1) -> Term:
    for _ in range(depth):
        item = Con("array", (item,))
    return item


def fun(params: Iterable[Term], result: Term) -> Con:
    return Con("fun", (*params, result))


def measure(item: Term) -> Con:
    return Con("measure", (item,))


def prune(t: Term) -> Term:
    """The term behind solved unknowns."""
    while type(t) is Meta:
        link = t.link
        if link is None:
            return t
        t = link
    return t


def from_type(t: ty.Type, variables: dict[str, Term] | None = None) -> Term:
    """The shape of a type; its type variables (`Base` with another name) from `variables`."""
    match t:
        case ty.Base(name):
            if name in ty.NUMBERS:
                return NUM
            if name in _BASES:
                return _BASES[name]
            if variables is None or name == "_":
                return ERROR
            return variables.setdefault(name, Meta())
        case ty.Array(item):
            return Con("array", (from_type(item, variables),))
        case ty.Tuple(items):
            return Con("tuple", tuple([from_type(i, variables) for i in items]))
        case ty.Record(fields):
            names = tuple([k for k, _ in fields])
            return Con(("record", names), tuple([from_type(v, variables) for _, v in fields]))
        case ty.Fun(params, result):
            return fun([from_type(p, variables) for p in params], from_type(result, variables))
        case ty.Dist(item) | ty.Measure(item):
            return measure(from_type(item, variables))
        case ty.Option(item):
            return from_type(item, variables)
        case ty.Data(name, args):
            return Con(("data", name), tuple([from_type(a, variables) for a in args]))
    return ERROR


def show(t: Term, depth: int = 0) -> str:
    """The shape as a person would write it; numbers are `number`, unknowns `_`."""
    t = prune(t)
    if type(t) is Meta:
        return "_"
    assert isinstance(t, Con)
    if depth > 6:
        return "…"
    head, args = t.head, t.args
    inner = [show(a, depth + 1) for a in args]
    if head == "num":
        return "number"
    if head == "array":
        return f"[{inner[0]}]"
    if head == "measure":
        return f"measure[{inner[0]}]"
    if head == "tuple":
        return f"({', '.join(inner)})"
    if head == "fun":
        params = inner[:-1]
        first = prune(args[0])
        bare = len(params) == 1 and not (isinstance(first, Con) and first.head in ("fun", "tuple"))
        return f"{params[0] if bare else '(' + ', '.join(params) + ')'} -> {inner[-1]}"
    if isinstance(head, tuple):
        if head[0] == "record":
            return "{" + ", ".join(f"{k}: {v}" for k, v in zip(head[1], inner, strict=True)) + "}"
        return f"{head[1]}[{', '.join(inner)}]" if inner else head[1]
    return str(head)


def describe(t: Term) -> str:
    """`show` for the end of a sentence: `x` is …"""
    shown = show(t)
    return f"a {shown}" if shown in ("number", "bool", "text") else shown


def freeze(t: Term) -> object | None:
    """A hashable key of a ground term, or None if part of it is unknown."""
    t = prune(t)
    if type(t) is Meta:
        return None
    assert isinstance(t, Con)
    if not t.args:
        return t.head
    parts: list[object] = [t.head]
    for a in t.args:
        key = freeze(a)
        if key is None:
            return None
        parts.append(key)
    return tuple(parts)


def too_large(t: Term, limit: int = 2_000) -> bool:
    """Whether a type has more parts than any program needs: shared parts count each time."""
    todo, n = [t], 0
    while todo:
        n += 1
        if n > limit:
            return True
        x = prune(todo.pop())
        if isinstance(x, Con) and x.args:
            todo.extend(x.args)
    return False


def unknowns(t: Term, out: list[Meta]) -> list[Meta]:
    """The distinct unknowns of a term, from left to right."""
    t = prune(t)
    if type(t) is Meta:
        if t not in out:
            out.append(t)
    else:
        assert isinstance(t, Con)
        for a in t.args:
            unknowns(a, out)
    return out


def copy(t: Term, fresh: dict[Meta, Term]) -> Term:
    """The term with the unknowns in `fresh` replaced."""
    t = prune(t)
    if type(t) is Meta:
        return fresh.get(t, t)
    assert isinstance(t, Con)
    if not t.args:
        return t
    return Con(t.head, tuple([copy(a, fresh) for a in t.args]))


def occurs(meta: Meta, t: Term) -> bool:
    t = prune(t)
    if t is meta:
        return True
    return isinstance(t, Con) and any([occurs(meta, a) for a in t.args])


class Mismatch(Exception):
    """Two terms that cannot be equal. `why` says more than that they differ, if there is more."""

    def __init__(self, left: Term, right: Term, why: str | None = None):
        self.left, self.right, self.why = left, right, why


def unify(a: Term, b: Term, wake: Callable[[list[Any]], None]) -> None:
    """Make two terms equal; `wake` is given what waited for the unknowns that were solved.

    Raises Mismatch with the innermost parts that differ.
    """
    a, b = prune(a), prune(b)
    if a is b:
        return
    if type(a) is Meta:
        _solve(a, b, wake)
        return
    if type(b) is Meta:
        _solve(b, a, wake)
        return
    assert isinstance(a, Con) and isinstance(b, Con)
    if a is ERROR or b is ERROR:
        return
    if a.head != b.head:
        if (
            isinstance(a.head, tuple)
            and isinstance(b.head, tuple)
            and a.head[0] == b.head[0] == "record"
        ):
            _unify_records(a, b, wake)
            return
        raise Mismatch(a, b)
    if len(a.args) != len(b.args):
        raise Mismatch(a, b)
    for x, y in zip(a.args, b.args, strict=True):
        unify(x, y, wake)


def _unify_records(a: Con, b: Con, wake: Callable[[list[Any]], None]) -> None:
    left, right = (
        dict(zip(a.head[1], a.args, strict=True)),
        dict(zip(b.head[1], b.args, strict=True)),
    )
    if left.keys() != right.keys():
        odd = sorted(left.keys() ^ right.keys())[0]
        raise Mismatch(a, b, f"only one of the records has the field `{odd}`")
    for name, x in left.items():
        unify(x, right[name], wake)


def _solve(meta: Meta, t: Term, wake: Callable[[list[Any]], None]) -> None:
    if isinstance(t, Con) and t.args and occurs(meta, t):
        raise Mismatch(meta, t, "a type cannot contain itself")
    meta.link = t
    if meta.waiting:
        waiting, meta.waiting = meta.waiting, []
        if type(t) is Meta:
            t.waiting.extend(waiting)
        wake(waiting)
