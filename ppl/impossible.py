"""Why runs have weight zero, where laws without a density are the reason."""

from __future__ import annotations

from ppl.semantics.diagnostics import Diagnostic, DiagnosticError
from ppl.semantics.machine import Limits, MachineKey
from ppl.semantics.machine.illegal import Illegal, Watching
from ppl.target import Target

#: runs forward that are looked at, and how long they may take
RUNS, LIMITS = 20, Limits(fuel=100_000, seconds=0.5)
#: the step of the key that they draw with, which nothing else uses
STEP = 2**32 + 1
#: errors that depend on values: an index, a checked cast, an array that is too short, a divisor
FAULTS = ("E709", "E710", "E719", "E727")


def raise_first_fault(target: Target, seed: int) -> None:
    """Raise the error that some run meets, as the machine does. Compiled runs of weight zero do not
    tell whether they had it before an error or because of it.

    Raises:
        DiagnosticError: E709, E710, E719, E727.
    """
    try:
        target = target.sampler
        machine, data = target.machine.within(LIMITS), target.plain
        bound = machine.bind(data)
        for k in range(RUNS):
            machine.run(bound, MachineKey(seed, STEP, -1 - k), record=False)
    except DiagnosticError as error:
        if error.diagnostics[0].code in FAULTS:
            raise


def illegal_laws(target: Target, seed: int) -> Diagnostic | None:
    """A warning that some runs forward meet a law whose parameters are outside their range, such as
    a scale of 0; None if none of a few does."""
    met: list[Illegal] = []
    made = 0
    try:
        target = target.sampler
        machine = target.watched
        machine, data = machine.within(LIMITS), machine.bind(target.plain)
        for made in range(1, RUNS + 1):
            source = Watching(MachineKey(seed, STEP, made))
            machine.run(data, source, record=False)
            met += [source.met] if source.met is not None else []
    except DiagnosticError:  # it is only looked for a reason
        pass
    if not met:
        return None
    first = met[0]
    who = "a draw is" if first.observed is None else f"`{first.observed}` is observed"
    return Diagnostic(
        "W726",
        f"{who} from `{first}`, which has no density: such runs have weight zero ({len(met)} of "
        f"{made} runs forward were some)",
        hint="keep parameters inside their range: scales and rates above 0",
    )
