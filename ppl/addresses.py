"""How names of a model are written: as results name them, by path.

`tau`, `theta/z`; of an array, an element, a slice or all of it: `theta[3]`, `theta[1:]`,
`theta[:, 0]`, `theta`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ppl.semantics.diagnostics import DiagnosticError, fail

#: an element, several, or what a memoised function was asked for, as results show it
Index = tuple[int | slice | str, ...]

_PART = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def read_address(address: str) -> tuple[str, Index]:
    """The path of an address without indices, and its indices: `hs[2]/h` is `hs/h`, (2,).

    Raises:
        DiagnosticError: E855, it is no address.
    """
    names, index = [], []
    for part in address.split("/"):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise _no_address(address)
        names.append(found[1].strip())
        for inside in re.findall(r"\[([^\]]*)\]", found[2]):
            keys = [inside] if "(" in inside else inside.split(",")  # of several parts: one key
            if not all(key.strip() for key in keys):
                raise _no_address(address)
            index += [_one_index(text.strip()) for text in keys]
    while index and index[-1] == slice(None):
        index.pop()
    return "/".join(names), tuple(index)


def _one_index(text: str) -> int | slice | str:
    try:
        if ":" not in text:
            return int(text)
        low, high = (int(end) if end.strip() else None for end in text.split(":"))
        return slice(low, high)
    except ValueError:
        return text


def _no_address(address: str) -> DiagnosticError:
    return fail(
        "E855",
        f"`{address}` is no name of a site",
        hint="write a path as results show it: `theta`, `theta[3]`, `theta[1:]`, `step/x`",
    )


def by_address(values: Any) -> Mapping[str, Any]:
    """Values by the names that they are for. Raises DiagnosticError: E855, they have none."""
    nameless = [values]
    if isinstance(values, Mapping):
        nameless = [k for k in values if not isinstance(k, str)]
    if nameless:
        raise fail(
            "E855",
            f"values are set by name, and {nameless[0]!r} is none",
            hint='write names as keys: do(x=1), do({"theta[3]": 2.0})',
        )
    return values
