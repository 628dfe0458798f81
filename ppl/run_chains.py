"""Methods of the machine whose executions are the states of Markov chains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.progress import progress_bar
from ppl.semantics.machine import MachineKey
from ppl.target import Target
from ppl.weighted_runs import Resumed, Runs, Stopped, data_of

if TYPE_CHECKING:
    from ppl.inference.mcmc import Chain

#: kinds of moves whose acceptance is told one by one
NAMED_MOVES = 50


def by_chains(
    method: Any, target: Target, seed: int, progress: bool, held: Resumed | None = None
) -> Runs:
    """The chains, one after the other; without their draws, where those are not held."""
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.mcmc import Interrupted, rectangle, run_chain

    key, program = MachineKey(seed), Program.of(target.machine, data_of(target, held))
    chains: list[Chain] = []

    def made(chains: Sequence[Chain]) -> Runs:
        traces = [t for chain in chains for t in chain.traces]
        return Runs(
            [t.execution for t in traces],
            np.zeros(len(traces)),
            lambda i: program.again(traces[i], key),
            chains=len(chains),
            stats=acceptance(chains),
        )

    with progress_bar(None if progress else False, title="sampling") as report:

        def at(done: int, steps: int, chain: int, kept: Sequence[Any]) -> None:
            if report is not None and done % 100 == 0:
                told = {"chain": chain + 1, **_recent(kept)}
                report(chain * steps + done, method.chains * steps, told)

        try:
            for c in range(method.chains):
                watch, journal = None if report is None else at, held and held.journal(f"chain-{c}")
                chains.append(
                    run_chain(
                        program, method.kernel, method, key, c, journal=journal, progress=watch
                    )
                )
        except Interrupted as stop:
            kept = rectangle([*chains, stop.chain])
            if not kept or (held is not None and not held.holds):
                raise
            drawn = f"{len(kept)} x {len(kept[0].traces)} of {method.chains} x {method.draws} draws"
            raise Stopped(made(kept), drawn) from None
    return made(chains)


def _recent(kept: Sequence[Any]) -> dict[str, str]:
    """The share of moves before the last hundred draws that changed something."""
    counts = [c for _, moves in kept[-100:] for _, c in moves]
    tried, changed = (sum(c[i] for c in counts) for i in (0, 1))
    return {"acceptance": f"{changed / tried:.2f}"} if tried else {}


def acceptance(chains: Sequence[Chain], kinds: Iterable[Any] = ()) -> dict[str, np.ndarray]:
    """Shares of moves that changed the trace, (chain, draw): of all, and by site or kernel. kinds:
    of moves, if not only those of these chains."""
    out = {"acceptance_rate": np.array([c.accepted for c in chains])}
    moves = list(dict.fromkeys((*kinds, *(m for c in chains for m in c.moves))))[:NAMED_MOVES]
    nothing = np.full(len(chains[0].traces), np.nan)
    kernels = {kernel for kernel, _ in moves}
    for kernel, site in moves if len(moves) > 1 else ():
        name = site if len(kernels) == 1 else f"{kernel} {site}".rstrip()
        rows = [c.moves.get((kernel, site), nothing) for c in chains]
        out[f"acceptance_rate of {name}"] = np.array(rows)
    return out
