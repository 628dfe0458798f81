"""Markov chain Monte Carlo over runs of the machine: chains of a kernel on traces.

Law: `Invariant(posterior)` of every step; draws are from the posterior once a chain has forgotten
where it started. Composition: a run forward of positive weight, then steps of single-site
Metropolis-Hastings (`kernels.machine.single_site`), of which every `thin`-th after `warmup` is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ppl.inference.kernels.algebra import Kernel, check_kernel
from ppl.inference.kernels.machine.single_site import revise
from ppl.inference.kernels.machine.traces import Run, Trace, first_trace
from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.omega import Source, steps_of

#: runs forward that may have weight zero before a chain gives up
TRIES = 10_000

#: (steps made in this chain, steps to make, chain)
Progress = Callable[[int, int, int], None]


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
    """traces (draws). accepted (draws,): the share of moves accepted since the draw before."""

    traces: Sequence[Trace]
    accepted: np.ndarray


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
    return [Chain(c.traces[:cut], c.accepted[:cut]) for c in chains if 0 < cut <= len(c.traces)]


def run_chain(
    run: Run, settings: Mcmc, source: Source, chain: int, *, progress: Progress | None = None
) -> Chain:
    """One chain; its step t draws from `source.at(t, chain)`.

    Raises:
        DiagnosticError: E895, no run forward has positive weight.
        Interrupted: a KeyboardInterrupt stopped it.
    """
    kept: list[tuple[Trace, float]] = []
    try:
        for draw in _draws(run, settings, source, chain, progress):
            kept.append(draw)
    except KeyboardInterrupt:
        raise Interrupted(_chain(kept)) from None
    return _chain(kept)


def _chain(kept: Sequence[tuple[Trace, float]]) -> Chain:
    return Chain([trace for trace, _ in kept], np.array([share for _, share in kept]))


def _draws(
    run: Run, settings: Mcmc, source: Source, chain: int, progress: Progress | None
) -> Iterator[tuple[Trace, float]]:
    """The traces that a chain keeps, and the share of moves accepted before each."""
    trace, begun = start(run, source, chain)
    total = settings.warmup + settings.draws * settings.thin
    moved = 0
    for t, omega in enumerate(steps_of(source, begun, total, chain)):
        after = revise(run, trace, omega)
        moved += after is not trace
        trace = after
        kept = t - settings.warmup + 1
        if kept == 0:
            moved = 0
        if kept > 0 and kept % settings.thin == 0:
            yield trace, moved / settings.thin
            moved = 0
        if progress is not None:
            progress(t + 1, total, chain)


def start(run: Run, source: Source, chain: int) -> tuple[Trace, int]:
    """The first run of positive weight, and the number of steps that the search took."""
    for t in range(TRIES):
        trace = first_trace(run, source.at(t, chain))
        if trace.execution.alive:
            return trace, t + 1
    raise fail(
        "E895",
        f"each of {TRIES:,} executions has weight zero: a chain has nowhere to start",
        hint="look at the model's supports and data; a score of how far off an execution is guides "
        "a chain, where `condition` only rules out",
    )
