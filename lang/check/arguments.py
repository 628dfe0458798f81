"""Arguments of calls: in the order of the parameters, each given once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check.scope import Builtin
from ppl.semantics.diagnostics import Diagnostic, Note, suggest
from ppl.semantics.signatures import PRIMITIVES, Distribution, Primitive

if TYPE_CHECKING:
    from ppl.lang.check.infer import Body


#: rows of one array, which other languages give several arguments
_ARRAYS = frozenset(
    name
    for name, row in PRIMITIVES.items()
    if len(row.params) == 1 and (row.kind == "reduction" or row.signatures[0].startswith("(["))
)


def wrong_count(
    e: s.Call,
    name: str,
    wanted: int,
    given: int,
    params: Sequence[str] | None,
    row: Primitive | None = None,
) -> Diagnostic:
    """E312. `row`: the primitive that is called, if it is one."""
    many = f"{wanted} argument{'s' * (wanted != 1)}"
    notes = (Note(f"its parameters are {', '.join(params)}"),) if params else ()
    hint = None
    if row is not None and wanted == 1 and given > 1 and name in _ARRAYS:
        items = ", ".join(a.span.text for a in e.args)
        hint = f"give it one array: `{name}([{items}])`"
    elif params and given == wanted + 1 and isinstance(row, Distribution):
        hint = _repeated(name, params)
    return Diagnostic("E312", f"`{name}` takes {many}, and is given {given}", e.span, notes, hint)


def _repeated(name: str, params: Sequence[str]) -> str:
    return f"for n independent draws write `iid(n, {name}({', '.join(params)}))`"


def arrange(
    body: Body, e: s.Call, name: str, params: Sequence[str], optional: Collection[str]
) -> tuple[s.Expr | None, ...] | None:
    """The arguments in the order of the parameters; None where the default is meant.

    Reports unknown, doubled and missing ones, and then gives None.
    """
    row = PRIMITIVES.get(name) if isinstance(body.facts.meaning.get(e.fn), Builtin) else None
    given: dict[str, s.Expr] = {}
    if len(e.args) > len(params):
        total = len(e.args) + len(e.named)
        body.report(wrong_count(e, name, len(params), total, params, row))
        return None
    for p, a in zip(params, e.args, strict=False):
        given[p] = a
    for k, a in e.named:
        if k not in params:
            draws = k in ("size", "shape", "n") and isinstance(row, Distribution)
            hint = _repeated(name, params) if draws else suggest(k, params)
            body.report(
                Diagnostic(
                    "E313",
                    f"`{name}` has no parameter `{k}`",
                    a.span,
                    (Note(f"its parameters are {', '.join(params)}"),),
                    hint,
                )
            )
            return None
        if k in given:
            body.report(Diagnostic("E313", f"`{k}` of `{name}` is given twice", a.span))
            return None
        given[k] = a
    missing = [p for p in params if p not in given and p not in optional]
    if missing:
        total = len(e.args) + len(e.named)
        body.report(wrong_count(e, name, len(params), total, params, row))
        return None
    return tuple([given.get(p) for p in params])


def all_arguments(body: Body, e: s.Call) -> None:
    """Arguments of a call that has an error of its own still have to make sense."""
    for a in e.args:
        body.expr(a)
    for _, a in e.named:
        body.expr(a)
