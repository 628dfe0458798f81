"""What to say of holes that cannot be drawn where they are observed."""

from __future__ import annotations

from ppl.semantics import types as T
from ppl.semantics.diagnostics import DiagnosticError, Note, Span, fail
from ppl.semantics.holes import Leaf

_NUTS = "gradient methods such as nuts treat missing numbers as parameters, wherever they are used"


class Refused(Exception):
    """The holes of a leaf cannot be drawn; `error` says why."""

    def __init__(self, leaf: Leaf, error: DiagnosticError):
        self.leaf, self.error = leaf, error
        super().__init__(str(error))


def _refused(
    leaf: Leaf, code: str, message: str, span: Span | None, hint: str, *notes: str
) -> Refused:
    error = fail(code, message, span=span, notes=tuple(map(Note, notes)), hint=hint)
    return Refused(leaf, error)


def _quoted(span: Span | None) -> str:
    return "this" if span is None or "\n" in span.text else f"`{span.text}`"


def used(leaf: Leaf, span: Span | None) -> Refused:
    """A hole is used before it is drawn."""
    return _refused(
        leaf,
        "E850",
        f"`{leaf.name}` has missing values, and {_quoted(span)} uses one before an `observe` has "
        "said how it is distributed",
        span,
        "observe each element before it is used, in a loop over it (`scan` where one depends on "
        "the last)",
        _NUTS,
    )


def unobserved(leaf: Leaf) -> Refused:
    """A hole is never observed, or not in every iteration."""
    return _refused(
        leaf,
        "E850",
        f"`{leaf.name}` has missing values, and no `observe` says how each is distributed",
        leaf.span,
        f"give it a law before it is used: `for v in {leaf.name} {{ observe v ~ normal(m, s) }}`",
        _NUTS,
    )


def out_of_reach(leaf: Leaf, span: Span | None) -> Refused:
    """An observation is made perhaps not once, or of what is partly drawn."""
    return _refused(
        leaf,
        "E850",
        f"`{leaf.name}` has missing values, and {_quoted(span)} may draw one not exactly once",
        span,
        f"observe each element of `{leaf.name}` once, in loops over it alone",
        _NUTS,
    )


def of_another_kind(leaf: Leaf, drawn: T.Type, span: Span | None) -> Refused:
    """A whole number observed under a law of real numbers."""
    return _refused(
        leaf,
        "E850",
        f"`{leaf.name}` has missing values of type {leaf.item}, and {_quoted(span)} would draw "
        f"{drawn} numbers",
        span,
        f"give `{leaf.name}` a distribution over {leaf.item}, or declare its elements `{drawn}?`",
    )


def in_one_arm(leaf: Leaf, span: Span | None) -> Refused:
    """A hole is observed in one arm of a branch and not in the other."""
    return _refused(
        leaf,
        "E850",
        f"`{leaf.name}` has missing values, and only one arm of a branch observes them",
        span,
        "observe them in every arm, or choose the distribution by `if`: "
        "`observe v ~ if c { d } else { e }`",
        _NUTS,
    )


def infinite(leaf: Leaf, family: str, span: Span | None) -> Refused:
    """A hole to be summed out has infinitely many values."""
    return _refused(
        leaf,
        "E851",
        f"`{leaf.name}` has missing values, and `{family}` gives them infinitely many",
        span,
        "infer with importance, or observe them under a law of finitely many values (`binomial`)",
        "this method sums missing whole numbers out",
    )


def jointly(leaf: Leaf, family: str, span: Span | None) -> Refused:
    """Holes are elements of an array with a joint law."""
    return _refused(
        leaf,
        "E854",
        f"`{leaf.name}` has missing values, and `{family}` draws its elements together",
        span,
        "infer with nuts, or write the law of each element given those before it",
        "drawing the missing elements would need their law given those that are there",
    )
