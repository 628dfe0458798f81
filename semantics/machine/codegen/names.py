"""Names of the generated code: numbers only, and constants bound as objects."""

from __future__ import annotations

from typing import Any


class Names:
    """Numbers variables, functions and blocks, and binds constants to numbered globals."""

    def __init__(self) -> None:
        self.count = 0
        self.bound: dict[str, Any] = {}
        self._constants: dict[Any, str] = {}

    def fresh(self, letter: str) -> str:
        """`v12`: letters say what it is (v a value, p a path, f, a, b code, k a constant)."""
        self.count += 1
        return f"{letter}{self.count}"

    def constant(self, value: Any) -> str:
        """The name bound to an object; equal numbers and texts share one."""
        key: Any = id(value)
        if isinstance(value, tuple) and all(type(x) in (int, float, bool, str) for x in value):
            key = tuple, repr(value)
        if isinstance(value, (int, float, str)) or value is None:
            key = type(value), repr(value)
        if key not in self._constants:
            name = self.fresh("k")
            self._constants[key] = name
            self.bound[name] = value
        return self._constants[key]
