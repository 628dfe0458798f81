"""Steps of sites: what a run without a binder adds to the path.

The callee's name for a measure that is called or named; nothing for a distribution that is a
block's last run, else the distribution's name; a loop's keyword, unless the loop is all that its
frame runs.
"""

from __future__ import annotations

from ppl.lang import syntax as s
from ppl.lang.check.schemes import is_distribution
from ppl.lang.elaborate.scope import Frame
from ppl.semantics import ir
from ppl.semantics.types import Dist


def at(frame: Frame, name: str, body: ir.Comp, *, keep: bool = False) -> ir.At:
    """The body one step further, under a step that is new in the frame."""
    return ir.At(body.type, frame.step(name), body, keep, span=body.span)


def unbound(e: s.Expr, run: ir.Comp, frame: Frame, op: str | None, *, tail: bool) -> ir.Comp:
    """A run of `e` without a binder. `op` is the primitive that `e` calls, if it calls one."""
    match e:
        case s.For() | s.Scan() | s.Iterate():
            if tail and not frame.used:
                frame.used = True
                return run
            return at(frame, _loop(e), run)
    distribution = isinstance(run, ir.Run) and isinstance(run.measure.type, Dist)
    if tail and (distribution or (op is not None and is_distribution(op))):
        frame.used = True
        return run
    return at(frame, op or _callee(e), run)


def _loop(e: s.For | s.Scan | s.Iterate) -> str:
    match e:
        case s.For():
            return "for"
        case s.Scan(keep="all"):
            return "scan"
        case s.Scan():
            return "fold"
        case _:
            return "iterate"


def _callee(e: s.Expr) -> str:
    match e:
        case s.Call(fn=fn):
            return _callee(fn)
        case s.Name(name=name) | s.Field(name=name):
            return name
        case s.Index(value=value):
            return _callee(value)
        case _:
            return "run"
