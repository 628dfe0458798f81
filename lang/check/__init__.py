"""Names, types and effects: a syntax tree in, facts about it and diagnostics out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppl.lang.check.module import check
    from ppl.lang.check.result import Checked, Instance, InstanceKey

__all__ = ["Checked", "Instance", "InstanceKey", "check"]


def __getattr__(name: str):
    if name == "check":
        from ppl.lang.check.module import check

        return check
    if name in __all__:
        from ppl.lang.check import result

        return getattr(result, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
