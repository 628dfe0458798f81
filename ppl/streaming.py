"""Draws of chains on the machine that go to a file: by way of a checkpoint, block after block.

What arrays draws make depends on all of them, since executions may have different sites. So what
was written is read twice: first for the few executions that show everything arrays depend on, then,
beside those, a block at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.machine import leaves_of, posterior_of_runs, refused
from ppl.methods import name_of
from ppl.posterior import Posterior
from ppl.run_chains import acceptance, by_chains
from ppl.runs import METHODS, resumed
from ppl.semantics import types as T
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import Execution, MachineKey
from ppl.stacking import sizes_in
from ppl.storage import Stream, streamed
from ppl.target import Target
from ppl.trees import leaves, map_leaves
from ppl.weighted_runs import Resumed, Runs, data_of

if TYPE_CHECKING:
    from ppl.inference.kernels.machine.traces import Trace
    from ppl.inference.mcmc import Counts

#: methods whose draws are made one by one
STREAMED = ("mcmc", "pgibbs", "pmmh")
#: sizes of a part of results that are looked for: of two that differ, there is no array
SIZES = 4


def stream_on_machine(
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Path | None,
    file: Path,
) -> Posterior:
    """The posterior of chains, whose draws are in a file and are read when they are asked for.

    Raises:
        DiagnosticError: as `infer_on_machine`; E811, the method has no chains; E894, the file
            cannot be written.
    """
    name = name_of(method)
    if name not in METHODS:
        raise refused(name, target.model.name, target.model.engine)
    if name not in STREAMED:
        raise fail(
            "E811",
            f"stream = {str(file)!r}: `{name}` draws all at once, and chains stream",
            hint="leave it out, and save the posterior: posterior.save(path)",
        )
    sampler = target.sampler
    folder = checkpoint or file.with_name(f"{file.name}.parts")
    held = resumed(method, sampler, seed, folder, holds=False)
    by_chains(method, sampler, seed, progress, held)
    posterior = _written(method, target, seed, held, file)
    if checkpoint is None:
        held.folder.remove()
    return posterior


def _written(method: Any, target: Target, seed: int, held: Resumed, file: Path) -> Posterior:
    from ppl.inference.kernels.machine.program import Program
    from ppl.inference.mcmc import chain_of

    sampler = target.sampler
    program, key = Program.of(sampler.machine, data_of(sampler, held)), MachineKey(seed)

    def parts() -> Iterator[list[tuple[Trace, Counts]]]:
        for c in range(method.chains):
            yield from held.journal(f"chain-{c}").parts()

    shown, moves = Shown(target.model.machine.type), {}
    for part in parts():
        for trace, counts in part:
            shown.see(program.again(trace, key))
            moves |= dict.fromkeys(move for move, _ in counts)
    first = 0
    with Stream(file, (method.chains, method.draws)) as out:
        for part in parts():
            executions = [*shown.executions, *(program.again(trace, key) for trace, _ in part)]
            runs = Runs(executions, np.zeros(len(executions)), executions.__getitem__)
            one = _last(posterior_of_runs(method, target, runs, seed=seed), len(part))
            one = replace(one, log_weights=None, stats=acceptance([chain_of(part)], moves))
            out.add(one, first)
            first += len(part)
        out.finish(one)
    return replace(streamed(file), target=target.itself, remarks=one.remarks)


def _last(posterior: Posterior, n: int) -> Posterior:
    """Its last draws; a result that no file holds is left as it is."""
    result = posterior.result
    if all(hasattr(leaf, "shape") for leaf in leaves(result)):
        result = map_leaves(lambda a: a[:, -n:], result)
    draws = {name: values[:, -n:] for name, values in posterior.draws.items()}
    return replace(posterior, draws=draws, result=result)


@dataclass(eq=False)
class Shown:
    """Executions that show, together, what all that were seen do of the arrays that they make:
    which names and elements there are, in which of them some are missing, their sizes and kinds."""

    type: T.Type
    executions: list[Execution] = field(default_factory=list)
    _grids: dict[str, Any] = field(default_factory=dict)
    _seen: set[Any] = field(default_factory=set)
    _sizes: dict[Any, set[Any]] = field(default_factory=dict)

    def see(self, e: Execution) -> None:
        """Keep it, if it shows something new."""
        rows: dict[str, dict[Any, Any]] = {}
        for name, indices, leaf in leaves_of(e):
            rows.setdefault(name, {})[indices] = (leaf.shape, leaf.dtype)
        facts: set[Any] = {(name, *about) for name, row in rows.items() for about in row.items()}
        for name, row in rows.items():
            if row.keys() != self._grids.setdefault(name, row.keys()):
                facts.add((name, "uneven"))
        facts |= {(name, "missing") for name in self._grids.keys() - rows.keys()}
        for part, sizes in sizes_in(e.result, self.type):
            known = self._sizes.setdefault(part, set())
            if sizes not in known and len(known) < SIZES:
                known.add(sizes)
                facts.add((part, sizes))
        if facts - self._seen:
            self._seen |= facts
            self.executions.append(e)
