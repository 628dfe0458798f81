"""The standard library that is written in the language: `prelude.ppl`, open everywhere, and the
modules of `library/`, which a program imports by name."""

from __future__ import annotations

from functools import cache

from ppl.lang import syntax as s
from ppl.lang.tables import package_text
from ppl.semantics.diagnostics import Source

#: what `import name` finds
MODULES = ("lists", "processes", "streams")
PRELUDE = "prelude"


@cache
def tree(name: str) -> s.Module:
    """The syntax tree of a module, or of the prelude. Parsed once."""
    from ppl.lang.parser import parse

    file = "prelude.ppl" if name == PRELUDE else f"library/{name}.ppl"
    return parse(Source(file, package_text(file)))
