"""Compiled particles that go on with more data, from where the loop over the data so far ended.

Composition: the loop alone on the new rows, from the population as it stood; then what follows the
loop, once more. Law: `ProperlyWeighted` for the program on all data. The random numbers are those
of one run, and so are the values, but for how compilers round. What is carried does not grow with
the data if no history is kept; with it, each stretch is stored as it was, and traced back when it
is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.ancestry import genealogy, rows_of
from ppl.inference.particles import compiled_policy
from ppl.inference.smc import Smc
from ppl.semantics import keys
from ppl.semantics.omega import Key
from ppl.semantics.xla.axes import Arr, Axis
from ppl.semantics.xla.lineage import inherited
from ppl.semantics.xla.packed import Packed
from ppl.semantics.xla.points import FEW, Policy
from ppl.semantics.xla.program import ALL, Bound, Data, particles
from ppl.semantics.xla.sharing import mesh_for
from ppl.semantics.xla.sites import draw
from ppl.semantics.xla.standing import From, Later, Parts, Standing, Stood, parts_of
from ppl.semantics.xla.state import State
from ppl.semantics.xla.steps import by_name, check_room, with_room
from ppl.semantics.xla.values import RValue, as_array, elements, spread_value

Observe = Callable[[RValue, State], RValue]
#: effective sizes, whether it was resampled, and log evidence so far, each (points,)
Points = tuple[np.ndarray, ...]
#: what a state records, by name
Names = Callable[[State], dict[str, RValue]]


@dataclass(frozen=True, eq=False)
class Stretch:
    """What happened to a population while its loop went on. inside: (n, steps, …) by name; without
    history (n, …), of the last step. value: of the loop, if all its states are kept. ancestors:
    (n,), in the population before."""

    inside: Mapping[str, np.ndarray]
    value: RValue | None
    ancestors: np.ndarray
    steps: int


@dataclass(frozen=True, eq=False)
class Waiting:
    """Particles of `smc` where the loop over data has ended, after `steps`, and nothing after it.

    earlier: (n, …) by name, of what was before the loop. roots: (n,), who each descends from at
    the beginning. guide: what made proposals, as whoever goes on has it. points: what was told of
    each; ancestors: whom each particle there goes on from, as of `Front`.
    """

    bound: Bound
    settings: Smc
    seed: int
    stood: Stood
    steps: int
    earlier: Mapping[str, np.ndarray]
    roots: np.ndarray
    points: tuple[np.ndarray, ...]
    ancestors: tuple[Any, ...]
    stretches: tuple[Stretch, ...]
    guide: Any = None

    @staticmethod
    def first(
        bound: Bound, settings: Smc, seed: int, stood: Stood, steps: int, names: Names
    ) -> Waiting:
        """After a run from the beginning."""
        earlier, inside = (_arrays(names(_recorded(t))) for t in (stood.earlier, stood.inside))
        roots = np.asarray(stood.roots.data)
        stretch = Stretch(inside, stood.value, roots, steps)
        points, links = points_of(stood.history), tuple(stood.ancestors)
        told = earlier, roots, points, links, (stretch,), settings.guide
        settings = replace(settings, guide=None)  # which compiled code depends on by its program
        return Waiting(bound, settings, seed, _bare(stood), steps, *told)

    @property
    def parts(self) -> Parts:
        return self._parts(self.bound)

    def _parts(self, bound: Bound) -> Parts:
        parts = parts_of(bound)
        assert parts is not None
        return parts

    def go_on(
        self,
        bound: Bound,
        rows: Data,
        steps: int,
        names: Names,
        guide: tuple[Bound, Data] | None = None,
    ) -> tuple[Waiting, Any]:
        """Where they stand after so many more rows, and what went wrong on the way. bound: the
        program, which may draw what is missing in these rows and was not before; guide: what
        proposes, and its data, the new rows alone. Raises what running the loop does."""
        parts = self._parts(bound)
        known = Packed.of((dict(self.stood.live), self.stood.state, self.stood.guide))
        beside, told = None, {}
        if guide is not None:
            beside = self._parts(guide[0])
            told = _read_by(beside.again, guide[1])

        def run(again: Bound) -> Any:
            stepping = _stepping(again, parts, self.settings, self.stood.version, names, beside)
            first = jnp.asarray(self.steps)
            begun = self.stood.log_weights, first, self.seed
            out = stepping(_read_by(again, rows), told, known, *begun).tree()
            check_room(out[0], again)
            return out

        inside, stood, faults = with_room(parts.again, run)
        ancestors = np.asarray(stood.roots.data)
        stretch = Stretch(_arrays(inside), stood.value, ancestors, steps)
        before = self.stretches if self.settings.keep_history else ()
        pairs = zip(self.points, points_of(stood.history), strict=True)
        return replace(
            self,
            stood=_bare(stood),
            steps=self.steps + steps,
            earlier={k: v[ancestors] for k, v in self.earlier.items()},
            roots=self.roots[ancestors],
            points=tuple(np.concatenate(pair) for pair in pairs),
            ancestors=(*self.ancestors, *stood.ancestors),
            stretches=(*before, stretch),
        ), faults

    def finish(
        self, bound: Bound, data: Data, observe: Observe
    ) -> tuple[Any, np.ndarray, Lines, Points, Mapping[str, np.ndarray]]:
        """What follows the loop, in the program of all data: `observe(result, state)`, the log
        weights (n,), what happened before, and what was told of the points, and is of ancestors."""
        parts = self._parts(bound)
        cut = parts.cut
        grows = cut.value_is_read and cut.loop.keep == "all"
        value = self._states() if grows else self.stood.state

        def run(after: Bound) -> Any:
            about = parts, self.settings, self.stood.version + 1, observe
            finishing = _finishing(after, *about, compiled=not grows)
            known = Packed.of((dict(self.stood.live), value))
            out = finishing(_read_by(after, data), known, self.stood.log_weights, self.seed)
            check_room(out[0], after)
            return out

        values, weights, roots, history, ancestors = with_room(parts.after, run)
        last = np.asarray(roots.data)
        points = zip(self.points, points_of(history), strict=True)
        lines = Lines(self, last)
        told = tuple(np.concatenate(p) for p in points)
        return values, np.asarray(weights), lines, told, self._genealogy(ancestors)

    def _genealogy(self, after: Sequence[Any]) -> Mapping[str, np.ndarray]:
        """Of all points, if they are few enough to be kept."""
        rows = rows_of((*self.ancestors, *after))
        few = self.settings.keep_history and sum(map(len, rows)) <= FEW
        return genealogy(rows) if few else {}

    def _states(self) -> RValue:
        """The loop's value, of all steps so far, as each particle has it."""
        (axis, _), last = _shared(self.settings), np.arange(self.settings.particles)
        found = []
        for stretch, ancestors in _traced(self.stretches, last):
            found.append(inherited(elements(stretch.value), ancestors, axis))

        def joined(*parts: Arr) -> Arr:
            time = len(parts[0].axes)
            return replace(parts[0], data=jnp.concatenate([p.data for p in parts], axis=time))

        items = jax.tree.map(joined, *reversed(found), is_leaf=lambda v: isinstance(v, Arr))
        return as_array(items, self.steps)


class Lines(Mapping[str, np.ndarray]):
    """What particles drew before and in their loop, by name, (1, n, …): traced back when it is
    read. last: (n,), the particle of the population as it stood that each goes on from."""

    def __init__(self, waiting: Waiting, last: np.ndarray):
        self._waiting, self._last = waiting, last

    @cached_property
    def _inside(self) -> dict[str, np.ndarray]:
        at, cut = self._waiting, self._waiting.parts.cut
        parts = [
            (s.steps, {name: v[who] for name, v in s.inside.items()})
            for s, who in _traced(at.stretches, self._last)
            if s.inside
        ]
        if not (at.settings.keep_history and parts):
            return parts[0][1] if parts else {}
        # a fold's own value has no time
        own = "/".join(cut.path) if cut.loop.keep == "last" else None
        last, names = parts[0][1], dict.fromkeys(name for _, p in parts for name in p)

        def joined(name: str) -> np.ndarray:
            like = next(p[name] for _, p in parts if name in p)
            rows = (p[name] if name in p else _missing(like, n) for n, p in reversed(parts))
            return np.concatenate(list(rows), axis=1)

        return {
            name: last[name] if name.partition(".")[0] == own else joined(name) for name in names
        }

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._waiting.earlier:
            return self._waiting.earlier[name][self._last][None]
        return self._inside[name][None]

    def __iter__(self) -> Iterator[str]:
        stretches = self._waiting.stretches
        yield from self._waiting.earlier
        yield from dict.fromkeys(name for s in reversed(stretches) for name in s.inside)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def roots(self) -> np.ndarray:
        """(n,), who each descends from at the beginning."""
        return self._waiting.roots[self._last]


def points_of(history: Any) -> Points:
    """What was told of each point (points,), from what was told of points and loops."""
    return tuple(
        np.concatenate([np.zeros(0), *(np.atleast_1d(np.asarray(h[i])) for h in history)])
        for i in range(3)
    )


def _traced(
    stretches: tuple[Stretch, ...], last: np.ndarray
) -> Iterator[tuple[Stretch, np.ndarray]]:
    """Each stretch, the newest first, and the particle of its end that each of `last` is from."""
    for stretch in reversed(stretches):
        yield stretch, last
        last = stretch.ancestors[last]


def _missing(like: np.ndarray, steps: int) -> np.ndarray:
    """Of a name that steps do not have, where others do."""
    return np.full((len(like), steps, *like.shape[2:]), np.nan)


def _arrays(named: Mapping[str, RValue]) -> dict[str, np.ndarray]:
    return {name: np.asarray(v.data) for name, v in by_name(named).items()}


def _recorded(tables: Any) -> State:
    return State(sites=tables[0], kept=tables[1])


def _bare(stood: Stood) -> Stood:
    """Without what is stored by stretches."""
    return replace(stood, earlier=({}, {}), inside=({}, {}), value=None, history=(), ancestors=())


def _read_by(bound: Bound, data: Data) -> Data:
    """The data that a part reads."""
    names = {p.name for p in bound.program.entry.params} | {k for f in bound.fixed for k in f.keys}
    return {name: v for name, v in data.items() if name in names}


@lru_cache(maxsize=64)
def _stepping(
    again: Bound,
    parts: Parts,
    settings: Smc,
    version: int,
    names: Names,
    beside: Parts | None,
) -> Callable[..., Packed]:
    """(rows, those of a guide, what is bound and the states, log weights, steps so far, seed) to
    what happened in the loop by name, how it stood then, and what went wrong. Compiled once for
    rows of each number."""
    cut, axis, policy, keep = parts.cut, *_shared(settings), settings.keep_history
    read = {p.name for p in again.program.entry.params}

    @jax.jit
    def run(
        rows: Data, theirs: Data, known: Packed, log_weights: Any, first: Any, seed: Any
    ) -> Packed:
        live, state, led = known.tree()
        inside = tuple(name for name in cut.live if name in read)
        begins = From(log_weights, version)
        guide = guides = None
        if beside is not None:
            told, own = led
            guides = beside.cut.again_loop, beside.reads
            more = {**told, beside.cut.state: own, beside.cut.first: Arr(first)}
            guide = beside.again, {**theirs, **more}
        standing = Standing(policy, keep, cut.again_loop, inside, cut.keeps, begins, guides)
        data = {**rows, **live, cut.state: state, cut.first: Arr(first)}
        omega = Later(Key(keys.key(seed)), first)
        *_, end = again.sequential(
            data, omega, axis, policy, history=keep, guide=guide, meeting=standing
        )
        stood: Stood = end.extra.stood
        outside = {k: v for k, v in live.items() if k not in read}
        live = {**stood.live, **inherited(outside, stood.roots.data, axis)}
        found = spread_value(names(_recorded(stood.inside)), (axis,))
        return Packed.of((found, replace(_bare_but_points(stood), live=live), end.faults))

    return run


def _shared(settings: Smc) -> tuple[Axis, Policy]:
    """The particles' axis and their policy, on as many devices as share them."""
    mesh = mesh_for(settings.particles)
    return particles(settings.particles, mesh), compiled_policy(settings.policy, mesh)


def _bare_but_points(stood: Stood) -> Stood:
    return replace(stood, earlier=({}, {}), inside=({}, {}))


@lru_cache(maxsize=64)
def _finishing(
    after: Bound, parts: Parts, settings: Smc, version: int, observe: Observe, *, compiled: bool
) -> Callable[..., Any]:
    """(data, what is bound and the loop's value, log weights, seed) to what is observed, the log
    weights, the particle that each is from, and what was told of points. Not `compiled` where
    values are of another form each time."""
    cut, axis, policy, keep = parts.cut, *_shared(settings), settings.keep_history

    def run(data: Data, known: Packed, log_weights: Any, seed: Any) -> Any:
        live, value = known.tree()
        standing = Standing(policy, keep, None, begins=From(log_weights, version))
        result, end = after.execute(
            {**data, **live, cut.value: value},
            rule=draw,
            omega=Key(keys.key(seed)),
            axes=(axis,),
            record=ALL,
            meeting=standing,
        )
        values = spread_value(observe(result, end), (axis,))
        front = end.extra
        return values, front.log_weights, front.lineage.roots, front.history, front.ancestors

    return jax.jit(run) if compiled else run
