"""Names of sites, as users write them, and the sites of a trace that they mean.

A name is a path as results show it, `theta`, `theta[3]`, `xs/x[2]`, or as it is run, `xs[2]/x`. It
means every site at it and below it: all elements of a loop, all that a binder runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ppl.semantics import ir
from ppl.semantics.analysis.binders import binders
from ppl.semantics.diagnostics import DiagnosticError, fail, suggest
from ppl.semantics.machine.paths import Path, spell, split

Index = tuple[int | slice, ...]

_PART = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_RANGE = re.compile(r"(\d*):(\d*)")


@dataclass(frozen=True)
class Address:
    """A name as it was written; the names on its path; the indices, numbers or slices, of loops."""

    text: str
    names: tuple[str, ...]
    index: Index

    def means(self, path: Path) -> bool:
        """Whether it means the site at a path, or what that is inside of."""
        name, indices = split(path)
        steps = tuple(name.split("/"))
        if steps[: len(self.names)] != self.names or len(self.index) > len(indices):
            return False
        return all(_within(i, k) for i, k in zip(indices, self.index, strict=False))

    def check(self, path: Path) -> None:
        """Raise E858 if it means a part of the site at a path."""
        name, indices = split(path)
        if tuple(name.split("/")) == self.names and len(self.index) > len(indices):
            raise fail(
                "E858",
                f"`{self.text}` is a part of `{spell(path)}`, which is drawn all together",
                hint=f'move all of it: on("{spell(path)}")',
            )


def _within(i: Any, k: int | slice) -> bool:
    if isinstance(k, slice):
        return type(i) is int and (k.start or 0) <= i and (k.stop is None or i < k.stop)
    return i == k


def read_address(text: str) -> Address:
    """Raises DiagnosticError: E855, it is no name of a site."""
    names: list[str] = []
    index: list[int | slice] = []
    for part in text.split("/"):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise _no_address(text)
        names.append(found[1].strip())
        for inside in re.findall(r"\[([^\]]*)\]", found[2]):
            index += [_one_index(one.strip(), text) for one in inside.split(",")]
    return Address(text, tuple(names), tuple(index))


def _one_index(text: str, address: str) -> int | slice:
    if found := _RANGE.fullmatch(text):
        low, high = (int(end) if end else None for end in found.groups())
        return slice(low, high)
    if not text.isdigit():
        raise _no_address(address)
    return int(text)


def _no_address(text: str) -> DiagnosticError:
    return fail(
        "E855",
        f"`{text}` is no name of a site",
        hint="write a path as results show it: `theta`, `theta[3]`, `theta[1:]`, `step/x`",
    )


def checked_address(text: str, program: ir.Program) -> Address:
    """A name whose every step is one of the program.

    Raises:
        DiagnosticError: E855, no run of the program can have such a site.
    """
    address = read_address(text)
    known = binders(program)
    for step in address.names:
        if step not in known:
            raise unknown(step, known, [p.name for p in program.entry.params])
    return address


def unknown(
    step: str, known: Mapping[str, Iterable[ir.At]], parameters: Iterable[str]
) -> DiagnosticError:
    """What to say of a name that no site has."""
    if step in parameters:
        return fail(
            "E855",
            f"`{step}` is data, not a site that the model draws",
            hint="a kernel moves sites: name one of those",
        )
    kept = [k for k, nodes in known.items() if any(n.keep for n in nodes)]
    shown = ", ".join(f"`{n}`" for n in kept[:12]) + (", …" if len(kept) > 12 else "")
    return fail(
        "E855",
        f"there is no site `{step}` (there is: {shown or 'none'})",
        hint=suggest(step, kept),
    )


def path_of(text: str) -> Path:
    """The path that is spelled so: `xs[2]/x`. Raises DiagnosticError: E855."""
    path: list[Any] = []
    for part in text.split("/"):
        address = read_address(part)
        if any(isinstance(k, slice) for k in address.index):
            raise _no_address(text)
        path += [*address.names, *((k,) for k in address.index)]
    return tuple(path)
