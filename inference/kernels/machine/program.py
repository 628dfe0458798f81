"""A program that kernels run: quickly, and, to learn its sites' names, once more with names.

Names are learnt when a site's path is first met; what a name means is looked up from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ppl.inference.kernels.machine.names import Address, checked_address
from ppl.inference.kernels.machine.resuming import Resumable
from ppl.inference.kernels.machine.traces import Revision, Run, Sited, Trace
from ppl.semantics import ir
from ppl.semantics.machine import Execution, Machine, MachineKey, Suspended
from ppl.semantics.machine.machine import Arguments
from ppl.semantics.machine.omega import Source
from ppl.semantics.machine.paths import Path, path_of, spell

#: stands for the path of which of its own draws an inner inference returns
NAMELESS: Path = ("a choice of `normalize`",)


@dataclass(frozen=True, eq=False)
class Program:
    """run: without names. record: with them. ir: the program's text. machine, data: what runs it,
    for kernels that stop it on its way."""

    machine: Machine
    data: Arguments
    run: Run
    record: Callable[[Any], Any]
    #: whether all runs have names
    named: bool = False
    #: of every site met so far, by the hash of its path
    paths: dict[int, Path] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    @staticmethod
    def of(machine: Machine, data: Any) -> Program:
        bound = machine.bind(data)
        return Program(machine, bound, Resumable.of(machine, bound), machine.untimed.runner(bound))

    def start(self, *, named: bool = False) -> Suspended:
        """A run that has not begun and stops at the suspension points."""
        return self.machine.start(self.data, record=named or self.named)

    @property
    def ir(self) -> ir.Program:
        return self.machine.program

    def learn(self, ran: Any) -> None:
        """The names in a run that was recorded."""
        cell = ran.state.sites if isinstance(ran, Execution) else ran.sites
        while cell is not None:
            cell, named, _ = cell
            if named[0] not in self.paths:
                self.paths[named[0]] = path_of(named)

    def again(self, trace: Sited, source: Source) -> Any:
        """A trace's run, with names. `source` is for what no trace has."""
        execution = self.record(Revision(trace.sites, (), source))
        self.learn(execution)
        return execution

    def known(self, trace: Sited) -> Mapping[int, Path]:
        """The paths of all sites of a trace, and more; `NAMELESS` of those that have no name."""
        if not trace.sites.keys() <= self.paths.keys():
            self.again(trace, MachineKey(0))
            for site in trace.sites.keys() - self.paths.keys():
                self.paths[site] = NAMELESS
        return self.paths

    def name(self, site: int, trace: Trace) -> str:
        """What a site of a trace is called, its indices left out."""
        if site not in self._names:
            steps = self.known(trace)[site]
            self._names[site] = spell(tuple(s for s in steps if isinstance(s, str)))
        return self._names[site]


class Selection:
    """The sites of a trace that a kernel may move: all, or those that names mean."""

    def __init__(self, program: Program, names: Sequence[str] | None = None):
        self.program = program
        #: one group of names a restriction: a site has to be in each
        self.groups: tuple[tuple[Address, ...], ...] = ()
        if names is not None:
            self.groups = (tuple(checked_address(n, program.ir) for n in names),)
        self._means: dict[int, bool] = {}

    def within(self, names: Sequence[str]) -> Selection:
        """Those of them that these names mean, too."""
        out = Selection(self.program, names)
        out.groups = (*self.groups, *out.groups)
        return out

    @property
    def everything(self) -> bool:
        return not self.groups

    def means(self, path: Path) -> bool:
        """Whether the site at a path is one of them."""
        return all(any(a.means(path) for a in group) for group in self.groups)

    def __call__(self, trace: Sited) -> Collection[int]:
        """The hashes of their paths, in the order of drawing."""
        if not self.groups:
            return trace.sites
        means = self._means
        if not trace.sites.keys() <= means.keys():
            paths = self.program.known(trace)
            for site in trace.sites:
                for address in (a for group in self.groups for a in group):
                    address.check(paths[site])
                means[site] = self.means(paths[site])
        return [site for site in trace.sites if means[site]]

    @property
    def text(self) -> str:
        return ", ".join(a.text for a in self.groups[-1]) if self.groups else ""


class Rest(Selection):
    """All sites but those that names mean."""

    def means(self, path: Path) -> bool:
        """Whether the site at a path is one of them."""
        return not super().means(path)

    @property
    def everything(self) -> bool:
        return False
