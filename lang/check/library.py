"""The functions of `prelude.ppl`, parsed when a program first mentions a name that it has not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from ppl.lang import syntax as s
from ppl.lang.parser import parse
from ppl.lang.tables import package_text
from ppl.semantics.diagnostics import Source


@cache
def library() -> Mapping[str, s.Function]:
    """The standard library, by name."""
    text = package_text("prelude.ppl")
    items = parse(Source("prelude.ppl", text)).items
    return MappingProxyType({i.name: i for i in items if isinstance(i, s.Function)})
