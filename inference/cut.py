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
from ppl.semantics.jax_compat import equations_of, is_literal, is_loop, loop_body, part_of

#: (steps done, steps in all, the outputs of the last step as a tree like the function's result:
#: None where they are not a loop's)
Watch = Callable[[int, int, Any], None]

#: seconds that a piece should take
TICK = 0.2
#: steps, and bytes, that a block of outputs has room for
STEPS, BYTES = 256, 2**26


@dataclass(frozen=True, eq=False)
class Straight:
    """Equations without loops, compiled together: {name: value} to {name: value}."""

    reads: tuple[Any, ...]
    run: Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Loop:
    """A `lax.scan`. live: what is read by it and after it, but for what the function was given."""

    equation: Any
    live: tuple[Any, ...]
    advance: Callable[..., Any]
    consts: int
    carry: int

    @property
    def length(self) -> int:
        return self.equation.params["length"]

    @property
    def outputs(self) -> Sequence[Any]:
        return self.equation.outvars[self.carry :]

    @property
    def steps_in_block(self) -> int:
        size = sum(math.prod(v.aval.shape[1:]) * 8 for v in self.outputs)
        return max(1, min(STEPS, self.length, BYTES // max(1, size)))

    def blank(self, steps: int) -> dict[str, Any]:
        """An empty block of outputs."""
        return {
            str(i): jnp.zeros((steps, *v.aval.shape[1:]), v.aval.dtype)
            for i, v in enumerate(self.outputs)
        }


@dataclass(frozen=True, eq=False)
class Cut:
    """`Cut.of(f, *arguments)(*arguments)` is `f(*arguments)`, for arguments of these shapes."""

    pieces: tuple[Straight | Loop, ...]
    inputs: tuple[Any, ...]
    constants: Mapping[Any, Any]
    outputs: tuple[Any, ...]
    tree: Any

    @staticmethod
    def of(f: Callable[..., Any], *arguments: Any) -> Cut:
        jaxpr, values, tree = equations_of(f, *arguments)
        constants, outputs = dict(zip(jaxpr.constvars, values, strict=True)), tuple(jaxpr.outvars)
        made = [v for e in jaxpr.eqns for v in e.outvars]
        pieces: list[Straight | Loop] = []
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
            if not is_loop(e):
                straight.append(e)
                continue
            close()
            needed.difference_update(e.outvars)
            needed.update(v for v in e.invars if not is_literal(v))
            pieces.append(_loop(e, tuple(v for v in made if v in needed)))
        close()
        return Cut(tuple(reversed(pieces)), tuple(jaxpr.invars), constants, outputs, tree)

    @property
    def steps(self) -> int:
        """Of all loops."""
        return sum(p.length for p in self.pieces if isinstance(p, Loop))

    def __call__(
        self, *arguments: Any, checkpoint: Checkpoint | None = None, watch: Watch | None = None
    ) -> Any:
        """The function's value.

        Raises:
            DiagnosticError: E898, the checkpoint cannot be read or written.
        """
        given = dict(zip(self.inputs, jax.tree.leaves(arguments), strict=True))
        known: dict[Any, Any] = {**self.constants, **given}
        first, place, lane, done = 0, None, -1, 0
        loops = [i for i, p in enumerate(self.pieces) if isinstance(p, Loop)]
        for k, i in reversed(list(enumerate(loops))):
            loop: Any = self.pieces[i]
            if checkpoint is not None and (place := checkpoint.load(k, _like(loop))) is not None:
                first, lane = i, k - 1
                known.update(zip(loop.live, place.state[0], strict=True))
                done = sum(self.pieces[j].length for j in loops[:k])  # type: ignore[union-attr]
                break
        for piece in self.pieces[first:]:
            if isinstance(piece, Straight):
                known.update(piece.run({v: known[v] for v in piece.reads}))
                continue
            lane += 1
            run = _Running(self, piece, lane, known, checkpoint, watch, done)
            known.update(run(place))
            place, done = None, done + piece.length
        found = [v.val if is_literal(v) else known[v] for v in self.outputs]
        return jax.tree.unflatten(self.tree, found)


def cuts(f: Callable[..., Any]) -> Callable[..., Cut]:
    """Arguments to the `Cut` of a function, which is made once for each of their forms."""
    known: dict[Any, Cut] = {}

    def of(*arguments: Any) -> Cut:
        leaves, tree = jax.tree.flatten(arguments)
        form = (
            tree,
            tuple((np.shape(x), jnp.result_type(x)) for x in leaves),
            jnp.result_type(float),
        )
        if form not in known:
            known[form] = Cut.of(f, *arguments)
        return known[form]

    return of


@dataclass(eq=False)
class _Running:
    """One loop on its way. known: what its equation reads, by name."""

    whole: Cut
    loop: Loop
    lane: int
    known: Mapping[Any, Any]
    checkpoint: Checkpoint | None
    watch: Watch | None
    before: int
    blocks: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, place: Place | None) -> dict[Any, Any]:
        """What it puts out, by name; from where it was, if it had begun."""
        loop = self.loop
        values = [v.val if is_literal(v) else self.known[v] for v in loop.equation.invars]
        consts, start = values[: loop.consts], values[loop.consts : loop.consts + loop.carry]
        elements = values[loop.consts + loop.carry :]
        live = [self.known[v] for v in loop.live]
        size = loop.steps_in_block if self.checkpoint is not None else loop.length
        carry, t, pace = start, 0, 4
        if place is not None:
            (_, carry), t = place.state, place.sampling
            self.blocks = list(place.blocks)
        self._save(live, carry, t, size, now=place is None)
        while t < loop.length:
            slot = t % size
            if slot == 0:
                self.blocks.append(loop.blank(size))
            n = min(pace, size - slot, loop.length - t)
            began = time.perf_counter()
            carry, block = loop.advance(consts, carry, elements, self.blocks[-1], t, slot, n)
            self.blocks[-1] = block = jax.block_until_ready(block)
            took = time.perf_counter() - began
            pace, t = int(max(1, min(4 * n, n * TICK / max(took, 1e-9)))), t + n
            self._save(live, carry, t, size, now=t == loop.length)
            self._tell(t, slot + n - 1)
        joined = {k: _joined([b[k] for b in self.blocks], loop.length) for k in loop.blank(0)}
        return dict(zip(loop.equation.outvars, [*carry, *joined.values()], strict=True))

    def _save(self, live: Any, carry: Any, t: int, size: int, *, now: bool) -> None:
        if self.checkpoint is not None:
            place = Place(0, t, (live, list(carry)), self.blocks)
            self.checkpoint.save(self.lane, place, full=t % size == 0, now=now)

    def _tell(self, t: int, row: int) -> None:
        if self.watch is not None:
            at = {v: self.blocks[-1][str(i)][row] for i, v in enumerate(self.loop.outputs)}
            seen = [None if is_literal(v) else at.get(v) for v in self.whole.outputs]
            last = jax.tree.unflatten(self.whole.tree, seen)
            self.watch(self.before + t, self.whole.steps, last)


def _straight(equations: tuple[Any, ...], writes: tuple[Any, ...]) -> Straight:
    made = {v for e in equations for v in e.outvars}
    read = dict.fromkeys(v for e in equations for v in e.invars if not is_literal(v))
    reads = tuple(v for v in read if v not in made)

    compiled = jax.jit(part_of(equations, reads, writes))

    def run(known: Mapping[Any, Any]) -> dict[Any, Any]:
        return dict(zip(writes, compiled(*(known[v] for v in reads)), strict=True))

    return Straight(reads, run)


def _loop(equation: Any, live: tuple[Any, ...]) -> Loop:
    body, consts, carried = loop_body(equation)

    @partial(jax.jit, donate_argnames="block")
    def advance(
        constants: Any, carry: Any, elements: Any, block: Any, t: Any, slot: Any, n: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        """n steps from the t-th; what they put out goes into the block from `slot` on."""

        def one(i: Any, at: Any) -> Any:
            carry, block = at
            item = [jax.lax.dynamic_index_in_dim(x, t + i, keepdims=False) for x in elements]
            out = body(*constants, *carry, *item)
            write = jax.lax.dynamic_update_index_in_dim
            rows = zip(block.items(), out[carried:], strict=True)
            return list(out[:carried]), {k: write(b, v, slot + i, 0) for (k, b), v in rows}

        return jax.lax.fori_loop(0, n, one, (list(carry), block))

    return Loop(equation, live, advance, consts, carried)


def _like(loop: Loop) -> Any:
    """The form of a place's state."""
    carried = loop.equation.invars[loop.consts : loop.consts + loop.carry]
    forms = [
        [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in vs]
        for vs in (loop.live, carried)
    ]
    return tuple(forms)


def _joined(blocks: Sequence[Any], length: int) -> Any:
    """Blocks along the steps."""
    if len(blocks) == 1 and blocks[0].shape[0] == length:
        return blocks[0]
    if not blocks:
        return jnp.zeros(0)
    return np.concatenate([np.asarray(b) for b in blocks])[:length]
