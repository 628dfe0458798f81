"""Traces of the machine, and runs that revise them: some sites redrawn, some moved, the rest kept.

A site of two traces counts as the same one if its path, its family's kind and, of arrays, the shape
of its draws are: the values of another family or size are of another measure.

Write x for a trace and x' for one that a revision made of it, p(v) and p'(v) for a site's density
in each. Sites that are redrawn, that appear or that vanish are drawn from their priors in one
direction or the other, so that their densities cancel from the ratio of Metropolis-Hastings.
What is left is the ratio of the scores, Π p'(v') / p(v) over the sites that are in both and were
kept or moved (`log_ratio`), and whatever chose and moved them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

from ppl.inference.kernels.machine.resuming import Draft, Past, Resumable
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import Execution
from ppl.semantics.machine.distributions.shapes import shape_drawn
from ppl.semantics.machine.omega import MachineKey, Source, steps_of
from ppl.semantics.machine.state import Dead, Draw, Omega, State


class Ran(Protocol):
    """What a run gives that kernels look at: an execution, or a run stopped on its way."""

    @property
    def log_weight(self) -> Any: ...
    @property
    def alive(self) -> bool: ...


#: a program applied to its data
Run = Callable[[Omega], Any]
NOTHING: Mapping[int, Any] = {}
_made = tuple.__new__  # a named tuple's own takes twice as long


@dataclass(slots=True, eq=False)
class Site:
    """One random choice of a trace; not changed once it is made. log_p: the log density of its
    value, from when that is first asked for."""

    value: Any
    family: Any
    args: tuple[Any, ...]
    log_p: float | None = None

    def log_prob(self, value: Any) -> float:
        return self.family.log_prob(value, *self.args)


class Trace(NamedTuple):
    """An execution, and its sites by the hash of their paths, in the order of drawing. past: what
    revisions of it need not run again."""

    execution: Execution
    sites: Mapping[int, Site]
    past: Past | None = None

    @property
    def kept(self) -> Trace:
        """Itself, without its past, which takes room."""
        return self if self.past is None else _made(Trace, (self.execution, self.sites, None))

    @property
    def log_weight(self) -> float:
        """The sum of the scores, without the sites' own densities."""
        return self.execution.log_weight

    @property
    def alive(self) -> bool:
        return self.execution.alive

    @property
    def size(self) -> int:
        """The number of sites."""
        return len(self.sites)


class Sited(Protocol):
    """A trace, or the draft of one."""

    @property
    def sites(self) -> Mapping[int, Site]: ...


#: the sites of a trace that a kernel may move, in the order of drawing
Choose = Callable[[Sited], Collection[int]]


class Revision:
    """A source of randomness for one run: the values of `moved`, and else of `given`, but `fresh`
    ones for the sites `redrawn` and for all sites that `given` has not.

    After the run, `sites` are its sites and `log_ratio` is Σ log p'(v') - log p(v) over the sites
    in both that were not redrawn. past: of the run whose sites are given, if that is known. drawn:
    values of sites that are redrawn, if they were drawn before. place: of the one site that may
    change among what is given, if that is known.
    """

    __slots__ = (
        "given",
        "redrawn",
        "fresh",
        "moved",
        "past",
        "drawn",
        "place",
        "sites",
        "log_ratio",
        "_new",
    )

    def __init__(
        self,
        given: Mapping[int, Site],
        redrawn: Collection[int],
        fresh: Omega,
        moved: Mapping[int, Any] = NOTHING,
        past: Past | None = None,
        drawn: Mapping[int, Any] = NOTHING,
        place: int | None = None,
    ):
        self.given, self.redrawn, self.fresh, self.moved = given, redrawn, fresh, moved
        self.past, self.drawn, self.place = past, drawn, place
        self.sites: dict[int, Site] = {}
        self.log_ratio = 0.0

    def begin(self, state: State) -> Draw:
        # methods: chains keep many runs, and closures would be most of what they keep
        fresh = self.fresh
        self._new = fresh.draw if type(fresh) is MachineKey else fresh.begin(state)
        return self.draw

    def draw(self, path: int, family: Any, args: tuple[Any, ...]) -> Any:
        sites, old = self.sites, self.given.get(path)
        if path in sites:
            raise named_twice(family)
        if old is None or path in self.redrawn:
            drawn = self.drawn
            value = drawn[path] if path in drawn else self._new(path, family, args)
            sites[path] = Site(value, family, args)
            return value
        moved = self.moved
        is_moved = moved and path in moved
        if not is_moved and old.family is family:
            before = old.args
            if before is args or before == args:
                sites[path] = old
                return old.value
        value = old.value
        if (type(value) is tuple or old.family is not family) and not alike(old, family, args):
            value = self._new(path, family, args)
            sites[path] = Site(value, family, args)
            return value
        if is_moved:
            value = moved[path]
        here, before = family.log_prob(value, *args), old.log_p
        if here == -math.inf:
            raise Dead
        if before is None:
            before = old.log_p = old.log_prob(old.value)
        sites[path] = Site(value, family, args, here)
        self.log_ratio += here - before
        return value

    def changes(self) -> tuple[int, int]:
        """Where among what is given the first site is that may change, and the last; the number of
        what is given, twice, if there is none."""
        redrawn, moved = self.redrawn, self.moved
        if self.place is not None:
            return self.place, self.place
        found = [i for i, path in enumerate(self.given) if path in redrawn or path in moved]
        return (found[0], found[-1]) if found else (len(self.given), len(self.given))

    def keep(self, kept: Sequence[tuple[int, int, int]]) -> None:
        """Put sites that stay as they were among those of the run: see `among`."""
        self.sites = among(self.sites, self.given, list(self.given), kept)

    def mark(self) -> Any:
        fresh = self.fresh  # a key has nothing to mark
        return len(self.sites), self.log_ratio, type(fresh) is not MachineKey and fresh.mark()

    def restore(self, mark: Any) -> None:
        size, self.log_ratio, fresh = mark
        while len(self.sites) > size:
            self.sites.popitem()
        self.fresh.restore(fresh)

    def __reduce__(self) -> Any:
        """As it is after the run: what is drawn then is fresh."""
        return Revision, (NOTHING, (), self.fresh)

    def trace(self, run: Run) -> Trace:
        """The run's trace. What its functions draw later is fresh, and belongs to no trace."""
        if isinstance(run, Resumable):
            return self.finished(run.draft(self))
        return self._traced(run(self), None)

    def draft(self, run: Run) -> Draft | Trace:
        """What the run's trace is going to be, of which only what weighs it is made now, if that is
        less."""
        return run.draft(self) if isinstance(run, Resumable) else self.trace(run)

    def finished(self, draft: Draft | Trace) -> Trace:
        """The trace that was drafted."""
        return draft if isinstance(draft, Trace) else self._traced(*draft.finished())

    def _traced(self, execution: Execution, past: Past | None) -> Trace:
        trace = _made(Trace, (execution, self.sites, past))
        self.given, self.sites, self.moved, self.past = NOTHING, {}, NOTHING, None
        self.drawn = NOTHING
        return trace


def among(
    sites: dict[int, Site],
    given: Mapping[int, Site],
    paths: Sequence[int],
    kept: Sequence[tuple[int, int, int]],
) -> dict[int, Site]:
    """Sites of a run, and among them some of those that are given, whose paths are `paths`: behind
    the run's first n those from the i-th up to the j-th, for all (n, i, j).

    Raises:
        DiagnosticError: E504, the run has drawn one of them, too.
    """
    at = 0
    instead: list[int] = []
    for _, i, j in kept:
        instead += paths[at:i]
        at = j
    instead += paths[at:]
    if list(sites) == instead:
        out = dict(given)
        out.update(sites)
        return out
    out, at, size = {}, 0, len(sites)
    for n, i, j in kept:
        out.update(islice(sites.items(), at, n))
        out.update(islice(given.items(), i, j))
        at, size = n, size + j - i
    out.update(islice(sites.items(), at, None))
    if len(out) < size:
        raise named_twice(next(sites[k].family for k in sites if k not in instead))
    return out


def named_twice(family: Any) -> Exception:
    """What to say of two choices at one path."""
    return fail(
        "E504",
        f"two random choices, one of them from `{family.name}`, have the same name",
        hint="bind the draws to different names with `~`",
    )


def alike(old: Site, family: Any, args: tuple[Any, ...]) -> bool:
    """Whether a site's value may be kept under another law. A relation between the two laws, so
    that it holds of the reverse move just if it does of this one."""
    a = old.family
    if a is not family and (a.name != family.name or a.discrete != family.discrete):
        return False
    if type(old.value) is not tuple:
        return True
    return shape_drawn(a, old.args) == shape_drawn(family, args)


def first_trace(run: Run, source: Omega) -> Trace:
    """A run forward, which may have weight zero."""
    return Revision(NOTHING, (), source).trace(run)


class Turns:
    """Sources of randomness for one chain, one after the other: no two turns of it, and no two
    chains, share a random number. Slots are free for particles."""

    __slots__ = ("source", "turn", "_ahead")
    BLOCK = 256

    def __init__(self, source: Source, chain: int = 0):
        self.source, self.turn = source, chain << 40
        self._ahead: Iterator[Any] = iter(())

    def next(self) -> Source:
        """The source of the next turn."""
        source = next(self._ahead, None)
        if source is None:
            self._ahead = steps_of(self.source, self.turn, self.BLOCK, 0)
            source = next(self._ahead)
        self.turn += 1
        return source

    def step(self) -> int:
        """The step of the next turn, for whoever draws in many slots of it."""
        next(self._ahead, None)
        self.turn += 1
        return self.turn - 1
