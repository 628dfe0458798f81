"""A function of arrays cut at its loops: what it computes before, between and after them is run as
it is, and each `lax.scan` at its top level in pieces, as many steps at a time as take a moment.

Between pieces the host says how far it is, hears an interrupt, and writes down where it is. The
values are those of the function: a piece runs the same steps, each on what the one before left.

Lane k of the checkpoint is loop k. Its state is what was computed before it and is still to be
read, and what the loop carries; its blocks are what its steps put out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.checkpoint import Checkpoint, Place
from ppl.inference.lanes import next_pace
from ppl.semantics.jax_compat import Loop, equations_of, is_literal, loop_of, part_of

#: (steps done, steps in all, a tree like the function's result, of what the last step put out and
#: of what is carried: None where a result is neither)
Watch = Callable[[int, int | None, Any], None]

#: seconds that a piece should take
TICK = 0.2
#: steps of the first piece
FIRST = 4
#: steps, and bytes, that a block of outputs has room for
STEPS, BYTES = 256, 2**26


@dataclass(frozen=True, eq=False)
class Straight:
    """Equations without loops, compiled together: {name: value} to {name: value}."""

    reads: tuple[Any, ...]
    run: Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Turning:
    """A loop. live: what is read by it and after it, but for what the function was given."""

    equation: Any
    loop: Loop
    live: tuple[Any, ...]
    advance: Callable[..., Any]

    @property
    def carried(self) -> Sequence[Any]:
        return self.equation.outvars[: self.loop.carried]

    @property
    def outputs(self) -> Sequence[Any]:
        return self.equation.outvars[self.loop.carried :]

    @property
    def steps_in_block(self) -> int:
        size = sum(math.prod(v.aval.shape[1:]) * 8 for v in self.outputs)
        return max(1, min(STEPS, self.loop.length or STEPS, BYTES // max(1, size)))

    @property
    def form(self) -> Any:
        """That of a place's state."""
        first = self.loop.constants
        carry = self.equation.invars[first : first + self.loop.carried]
        return tuple(
            [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in vs]
            for vs in (self.live, carry)
        )

    def blank(self, steps: int) -> dict[str, Any]:
        """An empty block of outputs."""
        return {
            str(i): jnp.zeros((steps, *v.aval.shape[1:]), v.aval.dtype)
            for i, v in enumerate(self.outputs)
        }


@dataclass(frozen=True, eq=False)
class Cut:
    """`Cut.of(f, *arguments)(*arguments)` is `f(*arguments)`, for arguments of these shapes."""

    pieces: tuple[Straight | Turning, ...]
    inputs: tuple[Any, ...]
    constants: Mapping[Any, Any]
    outputs: tuple[Any, ...]
    tree: Any

    @staticmethod
    def of(f: Callable[..., Any], *arguments: Any, whiles: bool = False) -> Cut:
        """`whiles`: cut at `lax.while_loop`s, too."""
        jaxpr, values, tree = equations_of(f, *arguments)
        constants, outputs = dict(zip(jaxpr.constvars, values, strict=True)), tuple(jaxpr.outvars)
        made = [v for e in jaxpr.eqns for v in e.outvars]
        pieces: list[Straight | Turning] = []
        needed = {v for v in outputs if not is_literal(v)}
        straight: list[Any] = []

        def close() -> None:
            """The equations gathered so far, from last to first, are a piece."""
            if straight:
                writes = [v for e in straight for v in e.outvars if v in needed]
                pieces.append(_straight(tuple(reversed(straight)), tuple(writes)))
                needed.difference_update(writes)
                needed.update(pieces[-1].reads)  # type: ignore[union-attr]
                straight.clear()

        for e in reversed(jaxpr.eqns):
            loop = loop_of(e, whiles=whiles)
            if loop is None:
                straight.append(e)
                continue
            close()
            needed.difference_update(e.outvars)
            needed.update(v for v in e.invars if not is_literal(v))
            live = tuple(v for v in made if v in needed)
            pieces.append(Turning(e, loop, live, _advance(loop)))
        close()
        return Cut(tuple(reversed(pieces)), tuple(jaxpr.invars), constants, outputs, tree)

    @property
    def steps(self) -> int | None:
        """Of all loops, if that is known."""
        lengths = [p.loop.length for p in self.pieces if isinstance(p, Turning)]
        return None if None in lengths else sum(n or 0 for n in lengths)

    def __call__(
        self, *arguments: Any, checkpoint: Checkpoint | None = None, watch: Watch | None = None
    ) -> Any:
        """The function's value.

        Raises:
            DiagnosticError: E898, the checkpoint cannot be read or written.
        """
        given = dict(zip(self.inputs, jax.tree.leaves(arguments), strict=True))
        known: dict[Any, Any] = {**self.constants, **given}
        first, place, lane, done = 0, None, 0, 0
        loops = [i for i, p in enumerate(self.pieces) if isinstance(p, Turning)]
        for k, i in reversed(list(enumerate(loops))):
            piece: Any = self.pieces[i]
            if checkpoint and (place := checkpoint.load(k, piece.form)) is not None:
                known.update(zip(piece.live, place.state[0], strict=True))
                first, lane = i, k
                done = sum(self.pieces[j].loop.length or 0 for j in loops[:k])  # type: ignore[union-attr]
                break
        for piece in self.pieces[first:]:
            if isinstance(piece, Straight):
                known.update(piece.run(known))
                continue
            known.update(_Running(self, piece, lane, known, checkpoint, watch, done)(place))
            place, lane, done = None, lane + 1, done + (piece.loop.length or 0)
        found = [v.val if is_literal(v) else known[v] for v in self.outputs]
        return jax.tree.unflatten(self.tree, found)


@dataclass(frozen=True, eq=False)
class Cuts:
    """Arguments to the `Cut` of a function, which is made once for each of their forms."""

    function: Callable[..., Any]
    whiles: bool = False
    known: dict[Any, Cut] = field(default_factory=dict)

    def __call__(self, *arguments: Any) -> Cut:
        leaves, tree = jax.tree.flatten(arguments)
        form = (
            tree,
            tuple((np.shape(x), jnp.result_type(x)) for x in leaves),
            jnp.result_type(float),
        )
        if form not in self.known:
            self.known[form] = Cut.of(self.function, *arguments, whiles=self.whiles)
        return self.known[form]


@dataclass(eq=False)
class _Running:
    """One loop on its way. known: what its equation reads, by name."""

    whole: Cut
    piece: Turning
    lane: int
    known: Mapping[Any, Any]
    checkpoint: Checkpoint | None
    watch: Watch | None
    before: int
    blocks: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, place: Place | None) -> dict[Any, Any]:
        """What it puts out, by name; from where it was, if it had begun."""
        piece, loop = self.piece, self.piece.loop
        values = [
            np.asarray(v.val, v.aval.dtype) if is_literal(v) else self.known[v]
            for v in piece.equation.invars
        ]
        first = loop.constants + loop.carried
        constants, carry = values[: loop.constants], values[loop.constants : first]
        live = [self.known[v] for v in piece.live]
        length = math.inf if loop.length is None else loop.length
        size = loop.length if self.checkpoint is None and loop.length else piece.steps_in_block
        t, pace, more = 0, FIRST, True
        if place is not None:
            (_, carry), t = place.state, place.sampling
            self.blocks = list(place.blocks)
        else:
            self._save(live, carry, t, size, now=True)
        while more and t < length:
            slot = t % size
            if slot == 0:
                self.blocks.append(piece.blank(size))
            n = int(min(pace, size - slot, length - t))
            began, block = time.perf_counter(), self.blocks[-1]
            carry, block, made, more = piece.advance(
                constants, carry, values[first:], block, t, slot, n
            )
            made, more, self.blocks[-1] = int(made), bool(more), block
            pace, t = next_pace(n, time.perf_counter() - began, TICK), t + made
            if made:
                self._save(live, carry, t, size, now=t == length or not more)
            self._tell(carry, t, slot + made - 1)
        joined = [_joined([b[k] for b in self.blocks], t) for k in piece.blank(0)]
        return dict(zip(piece.equation.outvars, [*carry, *joined], strict=True))

    def _save(self, live: Any, carry: Any, t: int, size: int, *, now: bool) -> None:
        if self.checkpoint is not None:
            place = Place(0, t, (live, list(carry)), self.blocks)
            self.checkpoint.save(self.lane, place, full=t % size == 0, now=now)

    def _tell(self, carry: Any, t: int, row: int) -> None:
        if self.watch is None:
            return
        block = self.blocks[-1]
        at = {v: block[str(i)][row] for i, v in enumerate(self.piece.outputs)}
        at |= dict(zip(self.piece.carried, carry, strict=True))
        seen = [None if is_literal(v) else at.get(v) for v in self.whole.outputs]
        last = jax.tree.unflatten(self.whole.tree, seen)
        self.watch(self.before + t, self.whole.steps, last)


def _straight(equations: tuple[Any, ...], writes: tuple[Any, ...]) -> Straight:
    made = {v for e in equations for v in e.outvars}
    read = dict.fromkeys(v for e in equations for v in e.invars if not is_literal(v))
    reads = tuple(v for v in read if v not in made)

    part = part_of(equations, reads, writes)

    @jax.jit
    def compiled(*values: Any) -> list[Any]:
        """Without weak types, for which a loop would be compiled again."""
        return [jax.lax.convert_element_type(x, x.dtype) for x in part(*values)]

    def run(known: Mapping[Any, Any]) -> dict[Any, Any]:
        return dict(zip(writes, compiled(*(known[v] for v in reads)), strict=True))

    return Straight(reads, run)


def _advance(loop: Loop) -> Callable[..., Any]:
    @partial(jax.jit, donate_argnames="block")
    def advance(
        constants: Any, carry: Any, elements: Any, block: Any, t: Any, slot: Any, n: Any
    ) -> tuple[list[Any], dict[str, Any], Any, Any]:
        """n steps from the t-th, or fewer where the loop ends; what they put out goes into the
        block from `slot` on. Also how many there were, and whether there are more."""

        def goes_on(at: Any) -> Any:
            i, carry, _ = at
            return (i < n) & (True if loop.more is None else loop.more(constants, carry))

        def one(at: Any) -> Any:
            i, carry, block = at
            item = [jax.lax.dynamic_index_in_dim(x, t + i, keepdims=False) for x in elements]
            carry, out = loop.step(constants, carry, item)
            write = jax.lax.dynamic_update_index_in_dim
            # by name: JAX sorts them as texts, "10" before "2"
            rows = {str(k): write(block[str(k)], v, slot + i, 0) for k, v in enumerate(out)}
            return i + 1, carry, rows

        made, carry, block = jax.lax.while_loop(goes_on, one, (0, list(carry), block))
        return carry, block, made, True if loop.more is None else loop.more(constants, carry)

    return advance


def _joined(blocks: Sequence[Any], length: int) -> Any:
    """Blocks along the steps."""
    if len(blocks) == 1 and blocks[0].shape[0] == length:
        return blocks[0]
    return np.concatenate([np.asarray(b) for b in blocks])[:length]
