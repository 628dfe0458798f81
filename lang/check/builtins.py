"""The functions that every program has. A program's own functions hide those of their names."""

from __future__ import annotations

from collections.abc import Iterable

from ppl.lang import syntax as s
from ppl.lang.check.scope import Facts
from ppl.semantics.diagnostics import Note, Span
from ppl.semantics.signatures import ALIASES, OPERATORS, PRIMITIVES

#: operators are written as such; their rows have no names of their own in the language
_UNNAMED = frozenset(OPERATORS.values()) | {
    "neg", "not", "index", "slice", "columns", "score_if",
    "normalize_importance", "normalize_rejection",
}  # fmt: skip
#: the names of primitives, as programs write them
BUILTINS = frozenset(n for n in PRIMITIVES if n not in _UNNAMED) | {name for name, _ in ALIASES}


def hiding(
    mentioned: Iterable[tuple[s.Node, str]], span: Span | None, facts: Facts
) -> tuple[Note, ...]:
    """Of the functions mentioned in `span`, one that hides a builtin, which may have been meant."""
    for node, name in mentioned:
        if name in BUILTINS and span is not None and _within(node.span, span):
            own = facts.functions[name].name_span
            return (Note(f"`{name}` is the program's own, which hides the built-in one", own),)
    return ()


def _within(part: Span, whole: Span) -> bool:
    return part.source is whole.source and whole.start <= part.start < whole.end
