"""Every diagnostic code: a title and what `ppl explain CODE` says.

E0xx text and limits · E1xx syntax · E2xx names · E3xx shapes of types · E4xx numbers and supports
E5xx effects and sites · E6xx data · E7xx running · E8xx inference · W… warnings, numbered alike.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """`page` is prose with an example that goes wrong and one that is right."""

    title: str
    page: str


CODES: dict[str, Code] = {}
