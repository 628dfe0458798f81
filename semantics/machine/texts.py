"""The primitives on texts. A text is a sequence of Unicode code points, compared by them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_INT = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def written(x: Any) -> str:
    """A number, truth value or text as a program writes it; reals by their shortest digits."""
    if isinstance(x, str):
        return x
    if isinstance(x, bool):
        return "true" if x else "false"
    return str(x) if isinstance(x, int) else repr(float(x))


def position(s: str, part: str) -> int:
    at = s.find(part)
    return len(s) if at < 0 else at


def split(s: str, sep: str) -> tuple[str, ...]:
    return tuple(s.split(sep)) if sep else tuple(s)


def join(xs: Any, sep: str) -> str:
    return sep.join(xs)


def replace(s: str, old: str, new: str) -> str:
    return s.replace(old, new) if old else s


def is_int(s: str) -> bool:
    return _INT.fullmatch(s) is not None


def is_real(s: str) -> bool:
    return len(s) < 1_000 and _REAL.fullmatch(s) is not None and abs(float(s)) < float("inf")


TEXTS: dict[str, Callable[..., Any]] = {
    "text": written,
    "contains": lambda s, part: part in s,
    "starts_with": lambda s, part: s.startswith(part),
    "ends_with": lambda s, part: s.endswith(part),
    "position": position,
    "split": split,
    "join": join,
    "chars": tuple,
    "upper": lambda s: s.upper(),
    "lower": lambda s: s.lower(),
    "strip": lambda s: s.strip(),
    "replace": replace,
    "is_int": is_int,
    "int_of": lambda s: int(s) if is_int(s) else 0,
    "is_real": is_real,
    "real_of": lambda s: float(s) if is_real(s) else 0.0,
}
