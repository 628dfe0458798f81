"""Paths of sites, and their hashes, which every draw is a function of.

A path is a sequence of steps: a name (str), or an index, a 1-tuple: of an int in a loop, of any
value in a memoised function. The hash of a path is a polynomial in its steps, modulo 2^64:

    hash(()) = ROOT        hash(path + (step,)) = hash(path) * BASE + key(step)

- a name's key is the first eight bytes of its BLAKE2b digest, little-endian;
- an int's key is i * SPREAD + OFFSET;
- any other value's key is a name's, of its canonical text (see `text_of`).

Being linear, consecutive steps fold into one multiplication while compiling. BASE is the golden
ratio's fraction of 2^64, whose small multiples are spread out as far as can be (the three-distance
theorem), so that indices of nested loops do not meet.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

A = TypeVar("A")

MASK = (1 << 64) - 1
ROOT = 0x243F6A8885A308D3
BASE = 0x9E3779B97F4A7C15
SPREAD = 0xD1342543DE82EF95
OFFSET = 0x2545F4914F6CDD1D

Step = str | tuple[Any]
Path = tuple[Step, ...]


@cache
def name_key(name: str) -> int:
    """The key of a name."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def index_key(index: Any) -> int:
    """The key of an index."""
    if type(index) is int:
        return (index * SPREAD + OFFSET) & MASK
    return name_key(text_of(index))


def text_of(value: Any) -> str:
    """A text that tells values of one type apart, the same on every machine."""
    if isinstance(value, tuple):
        return "(" + ",".join(map(text_of, value)) + ")"
    return f"{type(value).__name__} {value!r}"


def step_hash(path_hash: int, step: Step) -> int:
    """The hash one step down."""
    key = name_key(step) if isinstance(step, str) else index_key(step[0])
    return (path_hash * BASE + key) & MASK


def hash_of(path: Iterable[Step]) -> int:
    """The hash of a path."""
    out = ROOT
    for step in path:
        out = step_hash(out, step)
    return out


# A path in a run that records names is a linked list of (hash, parent, step).

Named = tuple[int, Any, Step]
NAMED_ROOT: Named = (ROOT, None, "")


def below(path: Any, step: Step) -> Any:
    """One step down a path, a hash or linked."""
    if type(path) is int:
        return step_hash(path, step)
    return step_hash(path[0], step), path, step


def path_of(named: Named) -> Path:
    """The steps of a linked path."""
    steps: list[Step] = []
    while named[1] is not None:
        steps.append(named[2])
        named = named[1]
    return tuple(reversed(steps))


def folded(named: Named, down: Callable[[A, Step], A], root: A, memo: dict[int, A]) -> A:
    """What `down` makes of a linked path, from `root` step by step. `memo` has it by the hashes of
    paths met before: the sites of a run share most of theirs."""
    todo: list[Named] = []
    while named[1] is not None and named[0] not in memo:
        todo.append(named)
        named = named[1]
    out = memo.get(named[0], root)
    for at in reversed(todo):
        out = memo[at[0]] = down(out, at[2])
    return out


def longer(path: Path, step: Step) -> Path:
    """One step down a path."""
    return (*path, step)


def indexed(indices: tuple[Any, ...], step: Step) -> tuple[Any, ...]:
    """The indices one step down the path of indices, as `split` has them."""
    return indices if isinstance(step, str) else (*indices, step[0])


def spelled(name: str, step: Step) -> str:
    """The name one step down the path of a name, as `spell` has it."""
    if isinstance(step, str):
        return f"{name}/{step}" if name else step
    return f"{name[:-1]},{step[0]}]" if name.endswith("]") else f"{name}[{step[0]}]"


def spell(path: Path) -> str:
    """`theta[3]`, `hs[2]/h`, `x[1,2]`: steps joined by `/`, indices in brackets."""
    out = ""
    for is_name, group in itertools.groupby(path, lambda step: isinstance(step, str)):
        parts = list(group)
        if is_name:
            out += ("/" if out else "") + "/".join(parts)  # type: ignore[arg-type]
        else:
            out += "[" + ",".join(str(p[0]) for p in parts) + "]"
    return out or "result"


def split(path: Path) -> tuple[str, tuple[Any, ...]]:
    """The name without its indices, and the indices: `hs/h` and (2,)."""
    names = [step for step in path if isinstance(step, str)]
    return "/".join(names) or "result", tuple(s[0] for s in path if not isinstance(s, str))
