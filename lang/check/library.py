"""The functions of `prelude.ppl`, parsed when a program first mentions a name that it has not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from ppl.lang import syntax as s
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Source


@cache
def library() -> Mapping[str, s.Function]:
    """The standard library, by name."""
    text = files("ppl.lang").joinpath("prelude.ppl").read_text("utf-8")
    items = parse(Source("prelude.ppl", text)).items
    return MappingProxyType({i.name: i for i in items if isinstance(i, s.Function)})
