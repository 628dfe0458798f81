"""The types that terms are generated of: data, functions, distributions, arrays of them."""

from __future__ import annotations

from collections.abc import Callable

from ppl.verify.choices import Choices
from ppl.verify.finite_types import (
    Array,
    Bool,
    Dist,
    Fun,
    Measure,
    Nat,
    Prob,
    Record,
    Tuple,
    Type,
)

FIELDS = ("a", "b", "c")


class Goals(Choices):
    """Generation of types."""

    def data_type(self, size: int = 1) -> Type:
        """A type of first-order values."""
        options: list[tuple[int, Callable[[], Type]]] = [
            (4, Bool),
            (4, lambda: Nat(self.integer(2, 4))),
            (1, Prob),
        ]
        if size > 0:
            if self.on("tuples"):
                options.append((2, lambda: Tuple((self.data_type(size - 1), self.data_type(0)))))
            if self.on("records"):
                options.append((2, lambda: self.record_type(size)))
            options.append((2, lambda: Array(self.data_type(size - 1), self.integer(3, 4))))
        return self.pick(options)  # pyright: ignore

    def record_type(self, size: int) -> Record:
        return Record(tuple((f, self.data_type(size - 1)) for f in FIELDS[: self.integer(1, 2)]))

    def finite_type(self) -> Type:
        """What one draw gives."""
        return self.pick([(2, Bool), (3, lambda: Nat(3))])  # pyright: ignore

    def any_type(self, size: int = 2) -> Type:
        """Of a let, a parameter: data, distributions, functions, and arrays of those."""
        options: list[tuple[int, Callable[[], Type]]] = [(6, lambda: self.data_type(1))]
        if size > 0:
            options.append((3, lambda: self.dist_type()))
            if self.on("closures"):
                options.append((5, lambda: self.fun_type(size - 1)))
            if self.on("arrays_of_functions"):
                options.append((3, lambda: Array(self.higher_type(size - 1), 3)))
            if self.on("records") and self.on("closures"):
                options.append(
                    (
                        1,
                        lambda: Record(
                            (("f", self.higher_type(size - 1)), ("a", self.data_type(0)))
                        ),
                    )
                )
        return self.pick(options)  # pyright: ignore

    def dist_type(self) -> Dist:
        item = self.finite_type()
        return Dist(item, 2 if item == Bool() else 3)

    def higher_type(self, size: int) -> Type:
        return self.pick([(1, lambda: self.fun_type(size)), (1, self.dist_type)])  # pyright: ignore

    def fun_type(self, size: int) -> Fun:
        params = [self.data_type(0)]
        if size > 0 and self.on("higher_order") and self.flip(3):
            params.append(self.higher_type(size - 1))
        results: list[tuple[int, Callable[[], Type]]] = [
            (3, lambda: self.data_type(0)),
            (3, self.dist_type),
            (2, lambda: Measure(self.finite_type(), 3)),
        ]
        if size > 0 and self.on("higher_order"):
            results.append((1, lambda: self.fun_type(size - 1)))
        return Fun(tuple(params), self.pick(results))  # pyright: ignore
