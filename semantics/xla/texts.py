"""Texts, which are known while compiling: primitives on them as the machine computes them."""

from __future__ import annotations

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.machine.texts import TEXTS
from ppl.semantics.xla.primitives import equal, fold
from ppl.semantics.xla.values import RValue, Static


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
    own = TEXTS.get(node.op)
    out = own(*known) if own else fold(node.op, *known)
    return Static(out) if isinstance(out, str) else out


def _character(s: str, i: int, span: Span | None) -> str:
    if not 0 <= i < len(s):
        message = f"index {i} is out of range for a text of length {len(s)}"
        raise fail("E709", message, span=span)
    return s[i]
