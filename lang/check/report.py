"""Diagnostics of the shape phase: where one arises, and how it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check.builtins import BUILTINS
from ppl.lang.check.scope import Local
from ppl.lang.check.terms import Con, Meta, Mismatch, Term, describe, prune, show
from ppl.semantics.diagnostics import Diagnostic, Note
from ppl.semantics.types import MAP

if TYPE_CHECKING:
    from ppl.lang.check.infer import Body


def quote(node: s.Node, limit: int = 44) -> str:
    """The text of a node in one line, shortened."""
    text = " ".join(node.span.text[: 4 * limit].split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Place:
    """The expression that a constraint is about, in the body it belongs to."""

    body: Body
    node: s.Node

    def shape_note(self, node: s.Expr, term: Term) -> Note:
        """`xs` is [number], and where it comes from."""
        meaning = self.body.facts.meaning.get(node)
        span = meaning.span if isinstance(meaning, Local) else node.span
        return Note(f"`{quote(node)}` is {describe(term)}", span)

    def bound_note(self, node: s.Expr, term: Term) -> tuple[Note, ...]:
        """Where a variable comes from; nothing for other expressions, which the caret shows."""
        meaning = self.body.facts.meaning.get(node)
        return (self.shape_note(node, term),) if isinstance(meaning, Local) else ()

    def not_a_measure(self, term: Term, node: s.Expr, why: str, code: str) -> Diagnostic:
        hint = "`let x = …` binds a value; `~` runs a measure, such as `normal(0, 1)`"
        if isinstance(term, Con) and term.head == "fun":
            hint = "this is a function: call it, as in `f(…)`"
        elif code == "E503":
            hint = f"write `return {quote(node)}`"
        elif code == "E508":
            hint = f"its value is dropped: `let x = {quote(node)}`, or remove the line"
        elif code == "E511":
            hint = "a value needs both branches: `if c { a } else { b }`"
        elif code == "E512" and _is(term, "unit"):
            hint = "names end with their block; `fold s = 0 for x in xs { s + x }` carries a value"
        elif code == "E512":
            hint = f"write `return {quote(node)}`, or for values only `[e for x in xs]`"
        elif isinstance(node, s.Comprehension):
            hint = "to run measures in a loop use `for … in … { … }`"
        elif isinstance(term, Con) and term.head == "array":
            hint = "to draw each element: `x ~ for d in … { d }`"
        return Diagnostic(
            code,
            f"{why} must be a measure, and `{quote(node)}` is {describe(term)}",
            node.span,
            (),
            hint,
        )


#: why the shape of what is observed must be that of a draw
OBSERVED = "the observed value"


def mismatch(
    m: Mismatch, actual: Term, expected: Term, place: Place, node: s.Node, why: str
) -> Diagnostic:
    """The best account of two shapes that differ."""
    left, right = prune(actual), prune(expected)
    notes = [Note(f"{why} must be {describe(right)}")]
    if isinstance(place.node, s.Item) and not isinstance(m.left, Meta):
        return _within_itself(place.node, left, right)
    if isinstance(left, Con) and left.head == "measure" and not _is(right, "measure"):
        return measure_as_value(node, *notes)
    if m.why is not None and isinstance(m.left, Meta):
        return Diagnostic(
            "E316",
            f"the type of `{quote(node)}` would have to contain itself",
            node.span,
            (Note(f"{why} must be {show(right)}, and it is {show(left)}"),),
            "write the types of the parameters, if each call is meant to be at another type",
        )
    if _is(right, "measure") and not _is(left, "measure"):
        hint = "end a block with `return e` to make it a measure"
        if isinstance(node, s.Lit):
            hint = "a distribution stands here, such as `normal(0, 1)`"
        return Diagnostic(
            "E509",
            f"`{quote(node)}` must be a measure, and is {describe(left)}",
            node.span,
            tuple(notes),
            hint,
        )
    if m.why is not None:
        notes.append(Note(m.why))
    elif prune(m.left) is not left:
        notes.append(Note(f"{show(m.left)} is not {show(m.right)}"))
    return Diagnostic(
        "E301",
        f"expected {describe(right)}, but `{quote(node)}` is {describe(left)}",
        node.span,
        tuple(notes),
        _compared(left, right, place.node) or _each(left, right, node, why) or _hint(left, right),
    )


def _compared(left: Term, right: Term, node: s.Node) -> str | None:
    """A truth value that is compared with a number."""
    if isinstance(node, s.Binary) and node.op in ("==", "!="):
        for value, (a, b) in ((node.left, (right, left)), (node.right, (left, right))):
            if _is(a, "bool") and _is(b, "num"):
                whole = value.span.text
                return f"`{quote(value)}` is a truth value: write `{whole}` or `not {whole}`"
    return None


def _each(left: Term, right: Term, node: s.Node, why: str) -> str | None:
    """An array that is observed from the law of one number."""
    if why == OBSERVED and _is(left, "array") and _is(right, "num"):
        return f"observe each element: `for v in {quote(node)} {{ observe v ~ … }}`"
    return None


def measure_as_value(node: s.Node, *notes: Note) -> Diagnostic:
    """E501: the commonest slip of all, a forgotten `~`."""
    name = "v" if isinstance(node, s.Name) else "x"
    return Diagnostic(
        "E501",
        f"`{quote(node)}` is a measure, used as a value",
        node.span,
        notes,
        f"did you mean to draw from it? `{name} ~ {quote(node)}`, then use `{name}`",
    )


def _within_itself(item: s.Item, actual: Term, used: Term) -> Diagnostic:
    """A function without a written result that calls itself as if it gave another."""
    hint = "write its result, as in `fn f(x: real) -> real`, to see which of the two is wrong"
    if _is(actual, "measure") and not _is(used, "measure"):
        hint = f"where it calls itself, draw from it: `x ~ {item.name}(…)`"
    if item.name in BUILTINS:
        hint = f"it hides the built-in `{item.name}`: give it another name to call that"
    return Diagnostic(
        "E301",
        f"`{item.name}` gives {describe(actual)}, and calls itself as if it gave {describe(used)}",
        item.name_span,
        (),
        hint,
    )


def _is(t: Term, head: object) -> bool:
    return isinstance(t, Con) and t.head == head


def _takes_more(left: Term, right: Term) -> bool:
    """Whether these are functions, of several arguments and of one."""
    if not (isinstance(left, Con) and isinstance(right, Con)):
        return False
    return left.head == right.head == "fun" and len(left.args) > len(right.args) == 2


def _hint(left: Term, right: Term) -> str | None:
    if _is(left, "bool") and _is(right, "num"):
        return "`indicator(c)` is 1 if c holds, else 0"
    if _is(left, "num") and _is(right, "bool"):
        return "compare it: `x > 0`, `x == 1`"
    if _is(left, "array") and _is(right, "num"):
        return "index it (`x[i]`), reduce it (`sum(x)`), or loop over it"
    if _is(left, "num") and _is(right, "array"):
        return "`[x]` is an array of one element; `repeat(x, n)` of n"
    if _takes_more(left, right):
        return "let it take one tuple: `fn (k: (nat, nat)) => … k.0 … k.1`, called `f((i, j))`"
    if _is(left, "fun") and not _is(right, "fun"):
        return "this is a function: call it, as in `f(…)`"
    if _is(right, ("data", MAP)) and _is(left, "array"):
        return "an array has a length, `len(x)`, and elements, `x[i]`; `map_of(xs)` makes a map"
    if _is(left, "unit"):
        return "a block without a last expression has the value `()`"
    return None
