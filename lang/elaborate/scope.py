"""Where the elaborator stands: names in scope, the block being filled, the frame of the path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ppl.lang.elaborate.origins import Origin
from ppl.semantics import ir


class Namer:
    """Names that are new in the whole program: x, x.1, x.2, …"""

    def __init__(self, taken: set[str] | None = None):
        self.taken = set() if taken is None else taken
        self.next: dict[str, int] = {}

    def fresh(self, name: str) -> str:
        number = self.next.get(name, 0)
        out = name if number == 0 else f"{name}.{number}"
        while out in self.taken:
            number += 1
            out = f"{name}.{number}"
        self.next[name] = number + 1
        self.taken.add(out)
        return out


class Counter:
    """Names told apart by a count: a, a#2, a#3, …"""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def next(self, name: str) -> str:
        self.seen[name] = count = self.seen.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"


class Frame(Counter):
    """What is run with one path in front: its steps, and whether anything was run yet.

    A function's body, a branch, the body of a loop and whatever has a step of its own are frames;
    a block is part of the frame it stands in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.used = False

    def step(self, name: str) -> str:
        self.used = True
        return self.next(name)


@dataclass(frozen=True)
class Local:
    """What a name of the source stands for, and the data it is part of."""

    value: ir.Value
    origin: Origin = None


@dataclass
class Scope:
    """The names in scope, and the bindings emitted so far in the block being filled."""

    names: Mapping[str, Local]
    frame: Frame
    binds: list[ir.Bind] = field(default_factory=list)

    def inner(self, frame: Frame | None = None) -> Scope:
        """A block within this one, or in a frame of its own."""
        return Scope(self.names, frame or self.frame)

    def nested(self) -> Scope:
        """The same block, for names that end before it does."""
        return replace(self)

    def define(self, name: str, local: Local) -> None:
        self.names = {**self.names, name: local}

    def emit(self, name: str, comp: ir.Comp) -> ir.Var:
        """Bind a (new) name; the variable."""
        self.binds.append(ir.Bind(name, comp))
        return ir.Var(comp.type, name, span=comp.span)

    def close(self, result: ir.Comp) -> ir.Comp:
        """The block that ends in `result`."""
        if not self.binds:
            return result
        last = self.binds[-1]
        returned = result.value if isinstance(result, ir.Return) else None
        if isinstance(returned, ir.Var) and returned.name == last.name and not _kept(last.comp):
            # `x <- c; return x` is c
            if returned.type == last.comp.type:
                self.binds.pop()
                return self.close(last.comp)
        binds = tuple(self.binds)
        if isinstance(result, ir.Block):
            binds, result = binds + result.binds, result.result
        return ir.Block(result.type, binds, result, span=result.span)


def _kept(comp: ir.Comp) -> bool:
    return isinstance(comp, ir.At)
