"""Runs that stand at the end of a loop over data, and go on as if the data had been longer.

What a run has computed is in its frames, and so are the elements that its loop goes over: with
others there, of which the first are the same, it goes on at the next. Law: it is the run of the
program on the longer data that makes the same choices, if nothing but the loop has read the rows so
far (`passes.resumable`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ppl.semantics import ir
from ppl.semantics.machine.limits import Budget
from ppl.semantics.machine.result import Execution
from ppl.semantics.machine.suspend import Suspended


def stands_at_end(run: Suspended | Execution, loop: ir.Scan) -> bool:
    """Whether a run has made all steps of a loop, and nothing else since; or is dead."""
    if not isinstance(run, Suspended):
        return not run.alive
    here, frame = run.code.generated.loops.get(id(loop)), run.frame
    if here is None or frame[0].__name__[1:] != str(here.number):
        return False
    return frame[here.at - 2] + 1 == len(frame[here.at])


def with_rows(
    runs: Iterable[Suspended | Execution],
    loop: ir.Scan,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> list[Suspended | Execution]:
    """Runs that stand at the end of `loop`, where data, by parameter, were `before` and are
    `after`. Their limits, but for fuel, no longer hold."""
    new = {id(v): after[name] for name, v in before.items()}
    rows = elements(loop.over, after)

    def one(run: Suspended | Execution) -> Suspended | Execution:
        if not isinstance(run, Suspended):
            return run
        frame = _swapped(run.frame, new)
        at = run.code.generated.loops[id(loop)].at
        frame = (*frame[:at], rows, *frame[at + 1 :])
        return run._replace(frame=frame, budget=run.budget and Budget(run.budget.limits))

    return [one(run) for run in runs]


def elements(over: ir.Value, data: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a loop over data goes over."""
    match over:
        case ir.Var(name=name):
            return data[name]
        case ir.Op(op="zip", args=args):
            return tuple(zip(*(elements(a, data) for a in args), strict=True))
        case ir.Op(op="enumerate", args=(xs,)):
            return tuple(enumerate(elements(xs, data)))
    raise TypeError(f"not a loop over data: {over!r}")


def _swapped(frame: Any, new: Mapping[int, Any]) -> Any:
    """The frame, and those that wait for it, with other values in the place of some."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame[1]
    out = None
    for block, _, *values in reversed(frames):
        out = (block, out, *(new.get(id(v), v) for v in values))
    return out
