"""Randomness by counter: a draw is a function of (key, SMC step, slot, path), and nothing else.

A stream is 64 bits mixed from key, step and slot by SplitMix64's finaliser (Steele, Lea and Flood,
"Fast splittable pseudorandom number generators", 2014). A draw's 64 bits are wyrand's function of
x = stream ^ path: the high and the low half of x * (x ^ KEY), one xored with the other (Wang Yi,
"wyhash", 2019). A path is a counter times odd constants, which is what wyrand is made for, and it
takes half the operations of a finaliser. A draw of more numbers steps from there as SplitMix64
does. So a draw needs no state, runs may be repeated from anywhere, and particles resampled from one
parent part as soon as their slots differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, NamedTuple, Protocol

from ppl.semantics.machine.paths import MASK
from ppl.semantics.machine.state import Draw, Omega, State

GAMMA = 0x9E3779B97F4A7C15
KEY = 0xA0761D6478BD642F
HALF = 2.0**-54
#: keys that are made together
BLOCK = 4096
_SEEDED = 0x6A09E667F3BCC908
#: 64 bits times SCALE plus HALF is in (0, 1), rounding included
SCALE = 2.0**-64 * (1 - 2.0**-52)


def mix(z: int) -> int:
    """SplitMix64's finaliser: a bijection of 64 bits in which every bit depends on every bit."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def bits(x: int) -> int:
    """The 64 bits of a draw whose stream and path have been xored to x."""
    z = x * (x ^ KEY)
    return (z ^ z >> 64) & MASK


@lru_cache(maxsize=64)
def _stream(seed: int, step: int) -> int:
    z = mix((seed & MASK) ^ _SEEDED)
    return mix((z + step * GAMMA + 1) & MASK)


_made = tuple.__new__  # what a named tuple is made by, without the call of its own


class Generator:
    """The uniform numbers of one draw, after the first."""

    __slots__ = ("state",)

    def __init__(self, state: int):
        self.state = state

    def uniform(self) -> float:
        """The next number in (0, 1)."""
        self.state = state = (self.state + GAMMA) & MASK
        return mix(state) * SCALE + HALF


class Source(Omega, Protocol):
    """A source of randomness for many runs, and for the inference code between them."""

    def at(self, step: int, slot: int) -> Source:
        """That of one particle or chain in one step."""
        ...

    def draw(self, path: int, family: Any, args: tuple[Any, ...]) -> Any:
        """A draw of inference's own, at a path that no program has."""
        ...


class _Key(NamedTuple):
    seed: int
    step: int
    slot: int
    #: 64 bits of (seed, step, slot)
    stream: int


class MachineKey(_Key):
    """A source of randomness; `at` is that of one particle between two suspension points."""

    __slots__ = ()

    def __new__(cls, seed: int, step: int = 0, slot: int = 0) -> MachineKey:
        stream = mix((_stream(seed, step) + slot * GAMMA + 2) & MASK)
        return _made(cls, (seed, step, slot, stream))

    def __getnewargs__(self) -> tuple[int, int, int]:  # type: ignore[override]
        return self[:3]  # to be copied and pickled by

    def __repr__(self) -> str:
        return f"MachineKey(seed={self.seed}, step={self.step}, slot={self.slot})"

    def at(self, step: int, slot: int) -> MachineKey:
        """The source of particle `slot` in step `step`."""
        return MachineKey(self.seed, step, slot)

    def begin(self, state: State) -> Draw:
        """The function that draws for a run."""
        stream = self.stream

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            z = path ^ stream  # `bits`, in line
            z *= z ^ KEY
            z = (z ^ z >> 64) & MASK
            return family.sample(z * SCALE + HALF, z, *args)

        return draw

    def draw(self, path: int, family: Any, args: tuple[Any, ...]) -> Any:
        """A draw of inference's own."""
        z = path ^ self.stream  # `bits`, in line
        z *= z ^ KEY
        z = (z ^ z >> 64) & MASK
        return family.sample(z * SCALE + HALF, z, *args)

    def uniform(self, path: int) -> float:
        """One number in (0, 1)."""
        return bits(path ^ self.stream) * SCALE + HALF

    def mark(self) -> None:
        """Nothing changes in a run."""

    def restore(self, mark: Any) -> None:
        """Nothing to restore."""


def slots_of(source: Source, step: int, n: int) -> Iterator[Any]:
    """`source.at(step, slot)` for slots 0, …, n - 1: what the particles of one step draw from."""
    if type(source) is not MachineKey:
        return (source.at(step, slot) for slot in range(n))
    blocks = (range(i, min(i + BLOCK, n)) for i in range(0, n, BLOCK))
    return chain.from_iterable(_keys(source.seed, step, several) for several in blocks)


def steps_of(source: Source, first: int, n: int, slot: int) -> Iterator[Any]:
    """`source.at(step, slot)` for n steps from `first`: what one chain draws from."""
    if type(source) is not MachineKey:
        return (source.at(first + t, slot) for t in range(n))
    blocks = (range(first + i, first + min(i + BLOCK, n)) for i in range(0, n, BLOCK))
    return chain.from_iterable(_keys(source.seed, several, slot) for several in blocks)


def _keys(seed: int, steps: int | range, slots: int | range) -> Iterator[MachineKey]:
    """Keys made together, by arithmetic on unsigned numbers, which wrap round."""
    import numpy as np

    def number(i: int | range) -> Any:
        return np.arange(i.start, i.stop, dtype=np.uint64) if type(i) is range else np.uint64(i)

    def mixed(z: Any) -> Any:
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    with np.errstate(over="ignore"):  # NumPy warns of it where both are single numbers
        base, gamma = np.uint64(mix((seed & MASK) ^ _SEEDED)), np.uint64(GAMMA)
        z = mixed(base + number(steps) * gamma + np.uint64(1))
        z = mixed(z + number(slots) * gamma + np.uint64(2))
    each = (i if type(i) is range else repeat(i) for i in (steps, slots))
    return map(_made, repeat(MachineKey), zip(repeat(seed), *each, z.tolist()))
