"""Ω, the one source of randomness of models and of inference.

`omega, value = omega.draw(path, distribution, shape, where=mask)`: what is drawn depends on the
path, never on the order of evaluation. Two instances: `Key` runs programs, `Tape` enumerates them.

- `Key` folds the path into a PRNG key; a draw is one bulk draw of the whole shape.
- `Tape` reads a finite sequence of choices and records the log-probability of every option it met,
  so that the host can extend the prefix until every possible path has run exactly once.

`enter(t)` is the source for step t of a loop; `leave` returns to the source outside. `lanes` runs
a function that draws once for each of n lanes, and tells seeds by which `again` draws what a lane
drew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import distributions as D
from ppl.semantics import keys
from ppl.semantics.diagnostics import fail

Array = Any
Path = tuple[str, ...]

#: (source of a lane, what is the lane's own) to that source after its draws, and a tree of arrays
Lane = Callable[[Any, Any], tuple[Any, Any]]


class Omega(Protocol):
    def draw(
        self, path: Path, dist: Any, shape: tuple[int, ...], *, where: Array | None = None
    ) -> tuple[Any, Array]: ...

    def enter(self, t: Array) -> Any: ...

    def leave(self, inner: Any) -> Any: ...

    def foreign_key(self, path: Path) -> Array: ...

    def lanes(self, path: Path, f: Lane, xs: Any, *, at_once: int | None = None) -> Any: ...

    def again(self, seed: Array) -> Any: ...

    @property
    def has_room(self) -> Any: ...


def path_hash(path: Path) -> int:
    """32 bits of the path, the same on every machine and in every version."""
    text = "/".join(p.replace("\\", "\\\\").replace("/", "\\/") for p in path)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


@partial(jax.tree_util.register_dataclass, data_fields=["key"], meta_fields=[])
@dataclass(frozen=True)
class Key:
    """A PRNG key."""

    key: Array

    def draw(
        self, path: Path, dist: Any, shape: tuple[int, ...], *, where: Array | None = None
    ) -> tuple[Key, Array]:
        """Draw from `dist`, whose batch dimensions broadcast to `shape`."""
        return self, dist.expand(shape).sample(self.foreign_key(path))

    def enter(self, t: Array) -> Key:
        return Key(jax.random.fold_in(self.key, t))

    def leave(self, inner: Any) -> Key:
        return self

    @property
    def has_room(self) -> bool:
        """Whether a loop need not stop: keys never run out."""
        return True

    def foreign_key(self, path: Path) -> Array:
        """A key for code that draws by itself."""
        return jax.random.fold_in(self.key, path_hash(path))

    def lanes(
        self, path: Path, f: Lane, xs: Any, *, at_once: int | None = None
    ) -> tuple[Key, Array, Any]:
        """`f` for every row of `xs`, lane i by key i of the path: (source, seeds (n, 2), what it
        gave, a row a lane). Lanes are run together, or so many `at_once`."""
        numbers = jnp.arange(jax.tree.leaves(xs)[0].shape[0])
        own = jax.vmap(partial(jax.random.fold_in, self.foreign_key(path)))(numbers)
        lane = lambda pair: f(Key(pair[0]), pair[1])[1]  # noqa: E731
        if at_once is None or at_once >= len(numbers):
            return self, keys.words(own), jax.vmap(lane)((own, xs))
        return self, keys.words(own), jax.lax.map(lane, (own, xs), batch_size=at_once)

    def again(self, seed: Array) -> Key:
        """The source of the lane that had this seed."""
        return Key(keys.wrap(seed))


class TapeTooNarrow(Exception):
    """A draw has more options than the tape has room to record."""

    def __init__(self, options: int):
        self.options = options


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["choices", "options", "used", "log_weight"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Tape:
    """`choices` (L,): which option to take at each draw. `options` (L, K): log-probability of every
    option met, filled in as the run goes. `used`: draws so far (may exceed L: then rerun with a
    longer tape). `log_weight`: log-probability of the path."""

    choices: Array
    options: Array
    used: Array
    log_weight: Array

    @staticmethod
    def of(choices: Array, width: int) -> Tape:
        length = choices.shape[-1]
        real = jnp.result_type(float)
        return Tape(
            choices,
            jnp.full((length, width), -jnp.inf, real),
            jnp.zeros((), choices.dtype),
            jnp.zeros((), real),
        )

    def draw(
        self, path: Path, dist: Any, shape: tuple[int, ...], *, where: Array | None = None
    ) -> tuple[Tape, Array]:
        """Every element of `shape` is one choice; where `where` is false it has one option."""
        if not D.is_finite(dist):
            raise fail(
                "E807",
                f"`{'/'.join(path)}` has infinitely many values, so it cannot be enumerated",
                hint="use nuts, importance or smc",
            )
        values, log_p = D.support_values(dist.expand(shape))  # (K, *shape, *event), (K, *shape)
        count, n = log_p.shape[0], int(np.prod(shape, dtype=int))
        length, width = self.options.shape
        if count > width:
            raise TapeTooNarrow(count)
        if where is not None:
            only = jnp.where(jnp.arange(count) == 0, 0.0, -jnp.inf)
            only = only.reshape((count,) + (1,) * len(shape))
            log_p = jnp.where(where, log_p, only)
        rows = jnp.moveaxis(log_p, 0, -1).reshape(n, count)
        place = self.used + jnp.arange(n)
        chosen = jnp.take(self.choices, place, mode="fill", fill_value=0)
        wide = jnp.full((n, width), -jnp.inf, rows.dtype).at[:, :count].set(rows)
        options = self.options.at[place].set(wide, mode="drop")
        weight = jnp.take_along_axis(rows, chosen[:, None], axis=1)[:, 0]
        flat = values.reshape((count, n, *values.shape[1 + len(shape) :]))
        picked = flat[chosen, jnp.arange(n)]
        value = picked.reshape((*shape, *values.shape[1 + len(shape) :]))
        tape = replace(
            self,
            options=options,
            used=self.used + n,
            log_weight=self.log_weight + jnp.sum(weight),
        )
        return tape, value

    def enter(self, t: Array) -> Tape:
        return self

    def leave(self, inner: Tape) -> Tape:
        return inner

    @property
    def has_room(self) -> Array:
        """False where a loop may stop: the run will be repeated with a longer tape, or its path has
        no mass."""
        return (self.used <= self.choices.shape[-1]) & (self.log_weight > -jnp.inf)

    def foreign_key(self, path: Path) -> Array:
        raise fail(
            "E708",
            f"the draw `{'/'.join(path)}` cannot be enumerated: code that takes a key makes it",
            hint="check it at the numeric level instead",
        )

    def lanes(
        self, path: Path, f: Lane, xs: Any, *, at_once: int | None = None
    ) -> tuple[Tape, Array, Any]:
        """The same, one lane after the other; a seed (n, 1) is where on the tape a lane began."""

        def lane(tape: Tape, x: Any) -> tuple[Tape, Any]:
            after, out = f(tape, x)
            return after, (tape.used[None], out)

        tape, (seeds, out) = jax.lax.scan(lane, self, xs)
        return tape, seeds, out

    def again(self, seed: Array) -> Tape:
        """The tape at the place where the lane of this seed began, to be dropped after use."""
        return replace(self, used=seed[0])
