"""Runs of the machine as bytes: executions, suspended runs, traces, and what kernels learn.

What belongs to the program is told by name and not written: compiled code and everything bound in
it, families, the data. So the bytes mean the same to every process that compiled the same program.
Reading them makes no object of a class, and calls no function, but of the machine's own.
"""

from __future__ import annotations

import gc
import io
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ppl.semantics.machine.code import FILE, Code
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.distributions.table import FAMILIES
from ppl.semantics.machine.limits import Budget
from ppl.semantics.machine.machine import Arguments, Machine
from ppl.semantics.machine.result import Execution
from ppl.semantics.machine.state import State

#: packages whose classes and functions may be in a run
OURS = ("ppl.semantics", "ppl.inference")
#: what else may
OTHERS = frozenset(
    (
        ("fractions", "Fraction"),
        ("builtins", "set"),
        ("builtins", "frozenset"),
    )
)
#: values that are written as they are
PLAIN = (int, float, bool, str, bytes, type(None))
#: what nothing is inside of that would be written
LEAVES = (*PLAIN, type, ModuleType, FunctionType, BuiltinFunctionType, np.ndarray)
#: how deep a value is written at a time: Python's stack bounds it
DEPTH = 40


#: what reading other bytes comes to
UNREADABLE = (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError)


class Unwritable(Exception):
    """Something in a run cannot be written down."""


class Pickles:
    """Bytes and runs of one machine on some data, and of `others` that run beside it."""

    def __init__(self, machine: Machine, data: Arguments, *others: tuple[Machine, Arguments]):
        self.machine, self.data, self.others = machine, data, others
        self._machines = [machine, *(m for m, _ in others)]
        self._codes: dict[tuple[int, tuple[Any, ...]], Code] = {}
        #: by the identity of an object: it, and what it is called
        self._names: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self._named: dict[tuple[Any, ...], Any] = {}
        for k, (m, own) in enumerate(((machine, data), *others)):
            self._call(m.type, ("type", k))
            for i, value in enumerate(own.values):
                self._call(value, ("data", k, i))
        for name, family in FAMILIES.items():
            self._call(family, ("family", name))

    def dumps(self, value: Any) -> bytes:
        """Raises Unwritable."""
        try:
            try:
                return self._dumped((), value)
            except RecursionError:  # in parts, each of which is near to those before it
                return self._dumped(tuple(self._parts(value)), value)
        except RecursionError:
            raise Unwritable("values that are nested too deeply") from None
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise Unwritable(str(error)) from None

    def loads(self, content: bytes) -> Any:
        """Raises ValueError if they are not such bytes."""
        try:
            return _Unpickler(self, io.BytesIO(content)).load()[1]
        except (*UNREADABLE, TypeError) as error:
            raise ValueError(str(error)) from None

    def _dumped(self, parts: tuple[Any, ...], value: Any) -> bytes:
        out = io.BytesIO()
        _Pickler(self, out).dump((parts, value))
        return out.getvalue()

    def _parts(self, value: Any) -> Iterator[Any]:
        """Values inside a value, such that what is between any and the next is not deep: from the
        inside out, without recursion."""
        depths: dict[int, int] = {}
        held: list[Any] = []  # so that what is made on the way keeps its identity
        pickler = _Pickler(self, io.BytesIO())
        stack: list[tuple[Any, Sequence[Any] | None]] = [(value, None)]
        while stack:
            at, inside = stack.pop()
            if inside is None:
                if id(at) in depths:
                    continue
                depths[id(at)] = 0
                inside = self._inside(at, pickler)
                held.append(inside)
                stack.append((at, inside))
                stack += [(v, None) for v in inside if id(v) not in depths]
                continue
            depth = 1 + max((depths[id(v)] for v in inside), default=0)
            if depth == DEPTH:
                yield at
                depth = 0
            depths[id(at)] = depth

    def _inside(self, value: Any, pickler: _Pickler) -> Sequence[Any]:
        if isinstance(value, LEAVES) or self.name_of(value) is not None:
            return ()
        reduced = pickler.reducer_override(value)
        inside = gc.get_referents(value) if reduced is NotImplemented else reduced[1]
        return [v for v in inside if not isinstance(v, LEAVES)]

    def code(self, options: tuple[Any, ...], k: int = 0) -> Code:
        """A program compiled in one way."""
        if (k, options) not in self._codes:
            self._code(k, options, self._machines[k].code(Options(*options)))
        return self._codes[k, options]

    def _code(self, k: int, options: tuple[Any, ...], code: Code) -> None:
        self._codes[k, options] = code
        for name, value in code.namespace.items():
            self._call(value, ("bound", k, options, name))

    def _call(self, value: Any, name: tuple[Any, ...]) -> None:
        if not isinstance(value, PLAIN) and value != ():
            self._names.setdefault(id(value), (value, name))
        self._named[name] = value

    def name_of(self, value: Any) -> tuple[Any, ...] | None:
        """What belongs to the program is called; None of other values."""
        if type(value) is Code:
            own = (k for k, m in enumerate(self._machines) if m.program is value.program)
            if (k := next(own, None)) is None:
                raise Unwritable("code of another program")
            options = astuple(value.options)
            if (k, options) not in self._codes:
                self._code(k, options, value)
            return "code", k, options
        if type(value) is Budget:
            return ("budget",)
        known = self._names.get(id(value))
        if known is not None:
            return known[1]
        if type(value) is FunctionType:
            if value.__code__.co_filename == FILE:  # of code not met before
                raise Unwritable("a function of another program")
            found = _global(value)
            if found is None:
                raise Unwritable(f"the function `{value.__qualname__}` of Python")
            return "function", *found
        return None

    def named(self, name: tuple[Any, ...]) -> Any:
        """What is called so."""
        match name:
            case ("code", k, options):
                return self.code(options, k)
            case ("budget",):
                return self.machine.budget
            case ("function", module, path):
                return _resolved(module, path)
            case ("bound", k, options, _):
                self.code(options, k)
        if name not in self._named:
            raise ValueError(f"nothing is called {name}")
        return self._named[name]


class _Pickler(pickle.Pickler):
    def __init__(self, pickles: Pickles, out: io.BytesIO):
        super().__init__(out, protocol=5)
        self.pickles = pickles

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, PLAIN):
            return None
        return self.pickles.name_of(obj)

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is State:
            lists = obj.sites, obj.kept, obj.observed, obj.nested
            rest = {k: v for k, v in obj.__dict__.items() if k in ("owned", "bounded")}
            budget = None if obj.meter is None else self.pickles.machine.budget
            return _state, (obj.omega, obj.code, budget, obj.w, lists, obj.fresh, obj.memo, rest)
        if type(obj) is Execution:
            return Execution, (obj.state, obj.value, obj.type, obj.alive)
        if type(obj) is np.ndarray:
            return _array, (obj.dtype.str, obj.shape, obj.tobytes())
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, pickles: Pickles, content: io.BytesIO):
        super().__init__(content)
        self.pickles = pickles

    def persistent_load(self, pid: Any) -> Any:
        return self.pickles.named(pid)

    def find_class(self, module: str, name: str) -> Any:
        ours = module.startswith(tuple(f"{p}." for p in OURS))
        if not ours and (module, name) not in OTHERS:
            raise pickle.UnpicklingError(f"{module}.{name} is nothing that runs hold")
        return super().find_class(module, name)


def _array(dtype: str, shape: tuple[int, ...], content: bytes) -> np.ndarray:
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _state(
    omega: Any,
    code: Code,
    budget: Budget | None,
    w: Any,
    lists: tuple[Any, Any, Any, Any],
    fresh: Mapping[Any, Any],
    memo: Any,
    rest: Mapping[str, Any],
) -> State:
    """The state of a run that is over."""
    s = State(omega, code, weight=w, meter=budget and budget.meter())
    s.sites, s.kept, s.observed, s.nested = lists
    s.fresh, s.memo = dict(fresh), memo
    for name, value in rest.items():
        setattr(s, name, value)
    return s


def _global(f: FunctionType) -> tuple[str, str] | None:
    """The module of a function of ours, and how it is reached there: its name, or that of a
    function of the module which holds it."""
    module = sys.modules.get(f.__module__)
    if module is None or not f.__module__.startswith(tuple(f"{p}." for p in OURS)):
        return None
    for name, value in vars(module).items():
        if value is f:
            return f.__module__, name
        cells = (value.__closure__ or ()) if type(value) is FunctionType else ()
        for i, cell in enumerate(cells):
            if cell.cell_contents is f:
                return f.__module__, f"{name} {i}"
    return None


def _resolved(module: str, path: str) -> Any:
    if not module.startswith(tuple(f"{p}." for p in OURS)) or module not in sys.modules:
        raise ValueError(f"{module} is no module of the machine")
    name, _, cell = path.partition(" ")
    value = getattr(sys.modules[module], name)
    return value.__closure__[int(cell)].cell_contents if cell else value
