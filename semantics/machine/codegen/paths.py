"""Paths while compiling: a variable, and the steps that were taken from it since.

Without names, steps fold into one multiplication and addition where the path is used. With names, a
path is a linked list and every step is made.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppl.semantics.machine.paths import BASE, MASK, OFFSET, SPREAD, name_key


@dataclass(frozen=True)
class At:
    """The path `variable * times + plus`, modulo 2^64."""

    variable: str
    times: int = 1
    plus: int = 0

    def step(self, name: str) -> At:
        """One step of a name down."""
        return At(
            self.variable, (self.times * BASE) & MASK, (self.plus * BASE + name_key(name)) & MASK
        )

    def text(self) -> str:
        """As an expression."""
        if self.times == 1 and self.plus == 0:
            return self.variable
        return f"({self.variable} * {self.times} + {self.plus} & {MASK})"

    def indexed(self, index: str) -> str:
        """One step of a loop's index down, as an expression."""
        times, plus = (self.times * BASE) & MASK, (self.plus * BASE + OFFSET) & MASK
        return f"({self.variable} * {times} + {index} * {SPREAD} + {plus} & {MASK})"


def named_step(path: str, name: str, constant: str) -> str:
    """One step of a name down a linked path, as an expression."""
    return f"({path}[0] * {BASE} + {name_key(name)} & {MASK}, {path}, {constant})"


def named_index(path: str, index: str) -> str:
    """One step of an index down a linked path, as an expression."""
    return f"({path}[0] * {BASE} + {index} * {SPREAD} + {OFFSET} & {MASK}, {path}, ({index},))"
