"""`mem` and `lazy`: draws made when they are first asked for, and remembered by the run.

A memoised function is (call, block, block, f, path): its value at a key is drawn at the path's step
of the key, from f's measure. A lazy value is a draw at its path, forced where a value is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.paths import below
from ppl.semantics.machine.state import State
from ppl.semantics.machine.values import flat

_MISSING = object()


def _step(path: Any, args: tuple[Any, ...]) -> Any:
    return below(path, (args[0] if len(args) == 1 else args,))


def _key(path: Any, args: tuple[Any, ...]) -> Any:
    return key_of(path if type(path) is int else path[0], args)


def key_of(h: int, args: tuple[Any, ...]) -> Any:
    """Where the value at `args` of the function at a path of hash h is remembered."""
    for a in args:
        if type(a) is tuple:
            return h, flat(args)
    return h, args


def found_at(s: State, key: Any) -> Any:
    """What is remembered there, or None."""
    v = s.fresh.get(key)
    return s.memo.get(key) if v is None else v


def _found(s: State, key: Any) -> Any:
    v = s.fresh.get(key, _MISSING)
    if v is _MISSING:
        v = s.memo.get(key, _MISSING)
        if v is _MISSING and s.owned is not None and key[0] not in s.owned:
            raise fail(
                "E841",
                "a random function or lazy value drawn outside `normalize` is asked for a new "
                "value inside it",
                hint="draw it inside, or ask for its values before",
            )
    return v


def own(s: State, path: Any) -> None:
    """What is drawn when asked for at `path` belongs to the nested run that is going on."""
    if s.owned is not None:
        s.owned.add(path if type(path) is int else path[0])


def holds_draws(flat: tuple[Any, ...]) -> bool:
    """Whether a value, made flat, has random functions or lazy values in it."""
    return any(x is _call or type(x) is Lazy for x in flat)


def memoised(s: State, f: Any, path: Any) -> Any:
    """The random function at a path whose value at a key is drawn from f's measure."""
    own(s, path)
    return _call, _call_block, _call_block_suspending, f, path


def mem(s: State, m: Any, path: Any) -> Any:
    """Run `mem(f)`: a random function."""
    return memoised(s, m[3], path)


def mem_block(s: State, k: Any, v: Any) -> Any:
    return k[1], mem(s, k[2], k[3])


def _call(s: State, c: Any, *args: Any) -> Any:
    """The value at `args`, direct."""
    path = c[4]
    key = _key(path, args)
    v = s.fresh.get(key, _MISSING)  # most often it is there
    if v is _MISSING:
        v = _found(s, key)
    if v is _MISSING:
        f = c[3]
        m = f[0](s, f, *args)
        s.fresh[key] = v = m[0](s, m, _step(path, args))
    return v


def _block(entry: int) -> Any:
    """The blocks of a call: ask for the measure, run it, remember its value."""

    def call(s: State, k: Any, v: Any) -> Any:
        _, parent, c, *rest = k
        args = tuple(rest)
        key = _key(c[4], args)
        v = _found(s, key)
        if v is not _MISSING:
            return parent, v
        f = c[3]
        return (f[entry], (drawn, parent, key, _step(c[4], args)), f, *args), None

    def drawn(s: State, k: Any, m: Any) -> Any:
        _, parent, key, path = k
        return (m[entry], (store, parent, key), m, path), None

    def store(s: State, k: Any, v: Any) -> Any:
        _, parent, key = k
        s.fresh[key] = v
        return parent, v

    return call


_call_block, _call_block_suspending = _block(1), _block(2)


# ---------------------------------------------------------------------------------------- laziness


@dataclass(frozen=True, eq=False)
class Lazy:
    """A draw of `measure` at `path` that nobody has asked for."""

    measure: Any
    path: Any


def lazy(s: State, m: Any, path: Any) -> Any:
    """Run `lazy(m)`."""
    own(s, path)
    return Lazy(m[3], path)


def lazy_block(s: State, k: Any, v: Any) -> Any:
    return k[1], lazy(s, k[2], k[3])


def force(s: State, v: Any) -> Any:
    """The value itself."""
    while type(v) is Lazy:
        key = _place(v), ()
        found = _found(s, key)
        if found is _MISSING:
            s.fresh[key] = found = s.code.run_measure(s, v.measure, v.path)
        v = found
    return v


def whole(s: State, value: Any) -> Any:
    """The value with every lazy part of it computed, but for what functions hold.

    Of a nested run, parts that were drawn outside it stay lazy.
    """

    def drawn(v: Any) -> Any:
        if s.owned is not None and _place(v) not in s.owned:
            found = found_at(s, (_place(v), ()))
            return v if found is None else found
        return force(s, v)

    return _rebuilt(value, drawn)


def known(s: State, value: Any) -> Any:
    """The value with what was drawn of its lazy parts; None where one was not drawn."""
    undrawn = False

    def drawn(v: Any) -> Any:
        nonlocal undrawn
        found = found_at(s, (_place(v), ()))
        undrawn = undrawn or found is None
        return found

    out = _rebuilt(value, drawn)
    return None if undrawn else out


def _place(v: Lazy) -> int:
    return v.path if type(v.path) is int else v.path[0]


def _rebuilt(value: Any, drawn: Callable[[Lazy], Any]) -> Any:
    """The value with `drawn` in place of its lazy parts, however deep; itself if it has none."""
    done: list[Any] = []
    todo: list[tuple[Any, Any]] = [(value, None)]
    while todo:
        x, of = todo.pop()
        if of is not None:  # its parts are done: itself again if none of them changed
            parts = tuple(done[len(done) - len(of) :])
            del done[len(done) - len(of) :]
            same = all(a is b for a, b in zip(parts, of, strict=True))
            done.append(of if same else parts)
        elif type(x) is Lazy:
            new = drawn(x)
            if type(new) is Lazy:
                done.append(new)
            else:
                todo.append((new, None))
        elif type(x) is tuple and x and not callable(x[0]):
            todo.append((None, x))
            todo.extend((part, None) for part in reversed(x))
        else:
            done.append(x)
    return done[0]
