"""What programs compute at run time: Python values, immutable all through.

- unit, bool, numbers and text are None, bool, int, float (or `Fraction`: `rational`), and str;
- arrays and tuples are tuples; a record is the tuple of its fields, sorted by name;
- a constructor applied to its arguments is (number, arguments…), by `Constructors`;
- a map is a `maps.Map`;
- a function is (direct, block, suspendable, environment…): called `f[0](state, f, arguments…)`, or
  by a frame (f[1] or f[2], parent, f, arguments…);
- a measure is (direct, block, suspendable, …): run `m[0](state, m, path)`, or by a frame
  (m[1] or m[2], parent, m, path). A distribution is one whose two further items are its family and
  the family's arguments.

Types say which is which, so that nothing is tagged twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ppl.semantics import types as T
from ppl.semantics.diagnostics import DiagnosticError, fail

DIRECT, BLOCK, SUSPENDABLE = 0, 1, 2
FAMILY, ARGS = 3, 4


@dataclass(frozen=True)
class Con:
    """A constructor applied to its arguments, as Python sees it."""

    name: str
    args: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.args))})" if self.args else self.name


def sorted_fields(t: T.Record) -> tuple[str, ...]:
    """The order in which a record's fields are held."""
    return tuple(sorted(k for k, _ in t.fields))


def holds_data(t: T.Type) -> bool:
    """Whether values of the type may be nested without bound."""
    match t:
        case T.Data():
            return True
        case T.Array(item=item):
            return holds_data(item)
        case T.Tuple(items=items):
            return any(map(holds_data, items))
        case T.Record(fields=fields):
            return any(holds_data(f) for _, f in fields)
        case _:
            return False


def flat(value: Any) -> tuple[Any, ...]:
    """A value nested without bound as a flat tuple, equal just for equal values."""
    out: list[Any] = []
    todo = [value]
    while todo:
        x = todo.pop()
        if type(x) is tuple:
            out.append(len(x))
            todo.extend(reversed(x))
        else:
            out.append(x)
    return tuple(out)


def equal(a: Any, b: Any) -> bool:
    """Structural equality, of values however deep."""
    todo = [(a, b)]
    while todo:
        x, y = todo.pop()
        if type(x) is tuple and type(y) is tuple:
            if len(x) != len(y):
                return False
            todo.extend(zip(x, y, strict=True))
        elif x != y:
            return False
    return True


class Constructors:
    """The numbers of a program's constructors, and the types of their fields as they are used."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.names: list[str] = []
        self.fields: dict[tuple[str, T.Type], tuple[T.Type, ...]] = {}

    def number(self, name: str) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.names)
            self.names.append(name)
        return self.numbers[name]

    def used(self, name: str, of: T.Type, fields: tuple[T.Type, ...]) -> None:
        self.number(name)
        self.fields.setdefault((name, of), fields)

    def types(self, name: str, of: T.Type) -> tuple[T.Type, ...] | None:
        exact = self.fields.get((name, of))
        if exact is not None:
            return exact
        return next((f for (n, _), f in self.fields.items() if n == name), None)


def from_python(value: Any, t: T.Type, number: Callable[[Any], Any] | None = None) -> Any:
    """A Python value, as `ppl.data` gives it, of type `t`. `number` converts reals."""
    match t:
        case T.Option(item=item):
            if value is None or _masked(value):
                raise _hole()
            return from_python(value, item, number)
        case T.Array(item=item):
            return _array(value, item, number)
        case T.Tuple(items=items):
            return tuple(from_python(v, i, number) for v, i in zip(value, items, strict=True))
        case T.Record():
            types, held = dict(t.fields), dict(value)  # as a key, a record is a tuple of pairs
            return tuple(from_python(held[k], types[k], number) for k in sorted_fields(t))
        case T.Base(name="unit"):
            return None
        case T.Base(name="bool"):
            return bool(value)
        case T.Base(name="text"):
            return str(value)
        case T.Base() if T.is_real(t):
            return float(value) if number is None else number(value)
        case T.Base() if T.is_number(t):
            return int(value)
        case T.Fun():
            return host_function(value, t)
        case T.Data(name=T.MAP, args=(key, item)):
            from ppl.semantics.machine.maps import Map  # which stands on this module

            pairs = value.items() if isinstance(value, Mapping) else value
            return Map.of(
                (from_python(k, key, number), from_python(v, item, number)) for k, v in pairs
            )
    raise fail("E706", f"data of type `{t}` cannot be passed to a model")


def _hole() -> DiagnosticError:
    return fail(
        "E606",
        "the data have missing values, which this program does not draw",
        hint="run the program of the target: target.machine.run(target.plain, omega)",
    )


def _masked(value: Any) -> bool:
    mask: Any = getattr(value, "mask", False)
    return bool(mask.any()) if hasattr(mask, "any") else bool(mask)


def _array(value: Any, item: T.Type, number: Any) -> tuple[Any, ...]:
    """Arrays of tuples and records are held by columns outside, and by rows here."""
    base, depth = item, 1
    while isinstance(base, T.Array):
        base, depth = base.item, depth + 1
    optional = isinstance(base, T.Option)
    base = base.item if isinstance(base, T.Option) else base
    if isinstance(base, T.Record) and isinstance(value, Mapping):
        names = sorted_fields(base)
        types = dict(base.fields)
        columns = [_array(value[k], _wrapped(types[k], depth - 1), number) for k in names]
        return _rows(columns, depth)
    if isinstance(base, T.Tuple) and isinstance(value, tuple) and len(value) == len(base.items):
        columns = [
            _array(v, _wrapped(i, depth - 1), number)
            for v, i in zip(value, base.items, strict=True)
        ]
        return _rows(columns, depth)
    if optional and _masked(value):
        raise _hole()
    whole: Any = value
    rows = whole.tolist() if hasattr(whole, "tolist") else whole
    return tuple(from_python(v, item, number) for v in rows)


def _wrapped(t: T.Type, depth: int) -> T.Type:
    for _ in range(depth):
        t = T.Array(t)
    return t


def _rows(columns: list[Any], depth: int) -> tuple[Any, ...]:
    if depth == 0:
        return tuple(columns)
    return tuple(_rows(list(parts), depth - 1) for parts in zip(*columns, strict=True))


def host_function(call: Callable[..., Any], t: T.Fun) -> Any:
    """A Python function as a function of the language; it must be pure."""

    def converted(*args: Any) -> Any:
        return from_python(call(*(_plain(a) for a in args)), t.result)

    def direct(s: Any, c: Any, *args: Any) -> Any:
        return converted(*args)

    def block(s: Any, k: Any, v: Any) -> Any:
        return k[1], converted(*k[3:])

    return direct, block, block


def _plain(x: Any) -> Any:
    """An argument for a Python function: arrays of numbers as NumPy arrays, maps as dicts."""
    from ppl.semantics.machine.maps import Map

    if isinstance(x, Map):
        return {as_key(k): _plain(v) for k, v in x.entries()}
    if type(x) is tuple and x and all(type(e) in (int, float, bool, tuple) for e in x):
        import numpy as np

        return np.asarray(x)
    return x


def to_python(
    value: Any, t: T.Type, constructors: Constructors, function: Callable[[Any, T.Fun], Any]
) -> Any:
    """A value as Python sees it: records as dicts, arrays as lists, constructors as `Con`s;
    `function` wraps functions. Nesting is followed without recursion in constructors' arguments."""
    if type(value) is float:
        return value
    match t:
        case T.Array(item=item):
            return [to_python(v, item, constructors, function) for v in value]
        case T.Tuple(items=items):
            parts = zip(value, items, strict=True)
            return tuple(to_python(v, i, constructors, function) for v, i in parts)
        case T.Record(fields=fields):
            types = dict(fields)
            held = dict(zip(sorted_fields(t), value, strict=True))
            return {k: to_python(held[k], types[k], constructors, function) for k, _ in fields}
        case T.Data(name=T.MAP, args=(key, item)):
            return {
                as_key(to_python(k, key, constructors, function)): to_python(
                    v, item, constructors, function
                )
                for k, v in value.entries()
            }
        case T.Data():
            return _data_to_python(value, t, constructors, function)
        case T.Fun():
            return function(value, t)
        case T.Dist() | T.Measure():
            return f"<{t}>"
        case T.Base() if T.is_real(t) and type(value) is int:
            return float(value)
        case _:
            return value


def as_key(x: Any) -> Any:
    """A value of Python as a key of a dict: arrays as tuples, records as tuples of pairs."""
    if isinstance(x, (list, tuple)):
        return tuple(map(as_key, x))
    if isinstance(x, dict):
        return tuple((k, as_key(v)) for k, v in x.items())
    return Con(x.name, as_key(x.args)) if isinstance(x, Con) else x


def _data_to_python(value: Any, t: T.Type, constructors: Constructors, function: Any) -> Any:
    """Post-order over the constructors, however deep they nest."""
    done: list[Any] = []
    todo: list[tuple[Any, T.Type, int | None]] = [(value, t, None)]
    while todo:
        v, of, arity = todo.pop()
        if arity is not None:
            args = tuple(done[len(done) - arity :])
            del done[len(done) - arity :]
            done.append(Con(constructors.names[v[0]], args))
        elif isinstance(of, T.Data) and of.name != T.MAP:
            types = constructors.types(constructors.names[v[0]], of) or ()
            todo.append((v, of, len(v) - 1))
            todo.extend((x, ft, None) for x, ft in reversed(list(zip(v[1:], types, strict=True))))
        else:
            done.append(to_python(v, of, constructors, function))
    return done[0]
