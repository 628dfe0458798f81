"""What a code stands for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """`page` is prose with an example that goes wrong and one that is right."""

    title: str
    page: str
