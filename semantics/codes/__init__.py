"""Every diagnostic code: a title and what `ppl explain CODE` says, a module a family.

E0xx text and limits · E1xx syntax · E2xx names · E3xx shapes of types · E4xx numbers and supports
E5xx effects and sites · E6xx data · E7xx running · E8xx inference · W… warnings, numbered alike.
"""

from __future__ import annotations

from ppl.semantics.codes import (
    conjugacy,
    data,
    distributions,
    edits,
    effects,
    files,
    kernels,
    machine,
    methods,
    names,
    numbers,
    results,
    running,
    shapes,
    syntax,
    verification,
    warnings,
)
from ppl.semantics.codes.page import Code as Code

_FAMILIES = (
    files,
    syntax,
    names,
    shapes,
    numbers,
    effects,
    data,
    running,
    distributions,
    verification,
    methods,
    kernels,
    conjugacy,
    machine,
    edits,
    results,
    warnings,
)

CODES: dict[str, Code] = {code: page for family in _FAMILIES for code, page in family.PAGES.items()}
