"""Methods of nested inference: what may stand in the second place of `normalize`.

`exact` is a distribution, since its density is known; `importance(n)` and `rejection` are measures.
These words are no variables, and mean something nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppl.lang import syntax as s
from ppl.lang.check.report import quote
from ppl.semantics.diagnostics import Diagnostic

HINT = (
    "`normalize(m, exact)` sums over all paths, `importance(n)` weighs n executions, `rejection` "
    "tries until one is accepted"
)


@dataclass(frozen=True)
class Way:
    """A method: the row of the table that it is, what it takes, and whether it may go without."""

    op: str
    takes: str | None = None
    optional: bool = True


WAYS = {
    "exact": Way("normalize"),
    "importance": Way("normalize_importance", "how many executions `importance` weighs", False),
    "rejection": Way("normalize_rejection", "how many executions `rejection` tries"),
}


def way(e: s.Call) -> Way:
    """The method of a call of `normalize`; without one all paths are run."""
    return WAYS.get(_word(e) or "", WAYS["exact"])


def settings(e: s.Call) -> tuple[s.Expr, ...]:
    """The arguments of the method of a call of `normalize`."""
    method = e.args[1] if len(e.args) > 1 else None
    return method.args if isinstance(method, s.Call) and _word(e) in WAYS else ()


def is_exact(e: s.Call) -> bool:
    """Whether all paths are run: `normalize` has the word `exact`, or no second argument."""
    return len(e.args) == 1 or _word(e) == "exact"


def problem(e: s.Call) -> Diagnostic | None:
    """What is wrong with the method of a call of `normalize`: an unknown one (E320), or one with
    too few or too many settings (E312)."""
    method, word = e.args[1], _word(e)
    if word not in WAYS:
        message = f"`normalize` has no method `{quote(method)}`"
        return Diagnostic("E320", message, method.span, (), HINT)
    chosen, given = WAYS[word], len(settings(e))
    named = isinstance(method, s.Call) and bool(method.named)
    most = 0 if chosen.takes is None else 1
    if named or given > most or (given < most and not chosen.optional):
        forms = [f"`{word}`"] * chosen.optional + [f"`{word}(n)`"] * most
        message = f"this method of `normalize` is written {' or '.join(forms)}"
        return Diagnostic("E312", message, method.span, (), HINT)
    (size,) = settings(e) or (None,)
    if isinstance(size, s.Lit) and type(size.value) is int and size.value == 0:
        message = f"`{word}` of no execution at all"
        return Diagnostic("E320", message, size.span, (), "give it at least one")
    return None


def _word(e: s.Call) -> str | None:
    method = e.args[1] if len(e.args) > 1 else None
    if isinstance(method, s.Call):
        method = method.fn
    return method.name if isinstance(method, s.Name) else None
