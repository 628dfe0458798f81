"""Markov chain Monte Carlo over runs of the machine: chains of a kernel on traces.

Law: `Invariant(posterior)` of every step; draws are from the posterior once a chain has forgotten
where it started. Composition: a run forward of positive weight, then steps of a kernel
(`kernels.machine.steps`), of which every `thin`-th after `warmup` is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ppl.inference.kernels.algebra import Kernel, check_kernel
from ppl.inference.kernels.basic import Prior
from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.steps import Learnt, Tally, step_of
from ppl.inference.kernels.machine.traces import Run, Trace, Turns, first_trace
from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.omega import Source

if TYPE_CHECKING:
    from ppl.inference.journal import Journal

#: runs forward that may have weight zero before a chain gives up
TRIES = 10_000

#: (steps made in this chain, steps to make, chain, what it has kept: traces, and moves before each)
Progress = Callable[[int, int, int, Sequence[Any]], None]

#: by kernel and moved site: how many moves, and how many that changed the trace; draws share them
Counts = tuple[tuple[tuple[str, str], tuple[int, int]], ...]


@dataclass(frozen=True, kw_only=True)
class Mcmc:
    """Settings: the kernel (`ppl.kernels`), chains, kept draws of each, steps before the first, and
    steps from one draw to the next.

    By default single-site Metropolis-Hastings. One step of it changes one site: the more sites, the
    more steps.
    """

    kernel: Kernel | None = None
    chains: int = 4
    draws: int = 1_000
    warmup: int = 1_000
    thin: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        if self.kernel is not None:
            check_kernel(self.kernel)
        for name, least in (("chains", 1), ("draws", 1), ("warmup", 0), ("thin", 1)):
            if getattr(self, name) < least:
                raise fail("E811", f"{name} = {getattr(self, name)}: it must be at least {least}")


@dataclass(frozen=True, eq=False)
class Chain:
    """traces (draws). accepted (draws,): the share of moves since the draw before that changed the
    trace. moves: the same by kernel and moved site, (draws,), NaN where there were none."""

    traces: Sequence[Trace]
    accepted: np.ndarray
    moves: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def upto(self, n: int) -> Chain:
        """Its first n draws."""
        return Chain(self.traces[:n], self.accepted[:n], {k: v[:n] for k, v in self.moves.items()})


class Interrupted(KeyboardInterrupt):
    """The user stopped a chain; `chain` has what it kept until then."""

    def __init__(self, chain: Chain):
        self.chain = chain
        super().__init__("stopped by the user")


def rectangle(chains: Sequence[Chain]) -> list[Chain]:
    """Chains that were stopped, at one length: as many of the longest, cut to the shortest among
    them, as keep the most draws; none if there are no draws."""
    lengths = [len(c.traces) for c in chains]
    cut = max(lengths, key=lambda n: n * sum(length >= n for length in lengths), default=0)
    return [c.upto(cut) for c in chains if 0 < cut <= len(c.traces)]


class Lengths(Protocol):
    """How long a chain is."""

    @property
    def draws(self) -> int: ...
    @property
    def warmup(self) -> int: ...
    @property
    def thin(self) -> int: ...


def run_chain(
    program: Program,
    kernel: Kernel | None,
    lengths: Lengths,
    source: Source,
    chain: int,
    *,
    journal: Journal | None = None,
    progress: Progress | None = None,
) -> Chain:
    """One chain of a kernel, by default single-site Metropolis-Hastings; from where a `journal`
    says it was, if it had begun.

    Raises:
        DiagnosticError: E895, no run forward has positive weight; E712, E855, the kernel does not
            fit the program; E819, it cannot move a site.
        Interrupted: a KeyboardInterrupt stopped it.
    """
    kept: list[tuple[Trace, Counts]] = [] if journal is None else journal.made
    try:
        _draw(program, kernel or Prior(), lengths, source, chain, kept, journal, progress)
    except KeyboardInterrupt:
        raise Interrupted(chain_of(kept)) from None
    return chain_of(kept)


def chain_of(kept: Sequence[tuple[Trace, Counts]]) -> Chain:
    """Traces, and the moves before each."""
    rows: dict[Counts, int] = {}
    row = np.array([rows.setdefault(counts, len(rows)) for _, counts in kept], int)
    accepted, moves = np.full(len(rows), math.nan), {}
    for i, counts in enumerate(rows):
        tried, changed = (sum(n) for n in zip((0, 0), *(both for _, both in counts), strict=True))
        if tried:
            accepted[i] = changed / tried
        for move, (tried, changed) in counts:
            share = moves.setdefault(move, np.full(len(rows), math.nan))
            share[i] = changed / tried if tried else math.nan
    shares = {move: share[row] for move, share in moves.items()}
    return Chain([trace for trace, _ in kept], accepted[row], shares)


def _draw(
    program: Program,
    kernel: Kernel,
    lengths: Lengths,
    source: Source,
    chain: int,
    kept: list[tuple[Trace, Counts]],
    journal: Journal | None,
    progress: Progress | None,
) -> None:
    """Append the traces that a chain keeps, and the moves before each."""
    turns, learnt = Turns(source, chain), Learnt()
    step = step_of(kernel, program, learnt=learnt)
    if journal is None or journal.place is None:
        first, trace, tally = 0, start(program.run, turns), Tally(learning=True)
    else:
        first, turns.turn, trace, tally, known = journal.place
        learnt.restore(known)
    warmup, thin = lengths.warmup, lengths.thin
    total = warmup + lengths.draws * thin
    before, after = None, trace.kept
    draw: tuple[Trace, Counts] = after, ()
    shared: dict[Counts, Counts] = {}
    for t in range(first, total):
        if t == warmup:
            tally = Tally()
        trace = step(trace, turns, tally)
        if t >= warmup and (t - warmup + 1) % thin == 0:
            if trace is not before:
                before, after = trace, trace.kept
            counts = tuple(tally.counts.items())
            if draw[0] is not after or draw[1] != counts:
                draw = after, shared.setdefault(counts, counts)
            kept.append(draw)  # one object as long as nothing happens
            tally.counts.clear()
        if journal is not None and journal.due(now=t + 1 == total):
            journal.write((t + 1, turns.turn, trace.kept, tally, learnt.known), kept)
        if progress is not None:
            progress(t + 1, total, chain, kept)


def start(run: Run, turns: Turns) -> Trace:
    """The first run of positive weight."""
    for _ in range(TRIES):
        trace = first_trace(run, turns.next())
        if trace.execution.alive:
            return trace
    raise fail(
        "E895",
        f"each of {TRIES:,} executions has weight zero: a chain has nowhere to start",
        hint="look at the model's supports and data; a score of how far off an execution is guides "
        "a chain, where `condition` only rules out",
    )
