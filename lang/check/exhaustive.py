"""Whether the arms of a `match` cover every value, with a counterexample if they do not, and
whether all of them are reached.

The matrix algorithms of Maranget, "Warnings for pattern matching" (JFP 2007). Arms with a guard
cover nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.infer import Body
from ppl.lang.check.report import quote
from ppl.lang.check.scope import Facts
from ppl.lang.check.terms import Con, Meta, Term, prune
from ppl.semantics.diagnostics import Diagnostic, Note
from ppl.semantics.types import MAP

Row = list[s.Pattern | None]
#: columns looked at before a match is called too large to decide
BUDGET = 20_000


@dataclass(frozen=True)
class _Shape:
    """One way a value can be built: how it is written, and the parts it has."""

    text: str
    parts: tuple[Term, ...]

    def write(self, parts: Sequence[str]) -> str:
        if not self.parts:
            return self.text
        return f"{self.text}({', '.join(parts)})"


class _TooLarge(Exception):
    pass


def check_matches(body: Body, report: Callable[[Diagnostic], None]) -> None:
    """Every `match` of a body, and every pattern that must not fail."""
    for node in body.types:
        if isinstance(node, s.Match):
            _check(node, body, report)
    for pattern in _binders(body):
        witness = _Matrix(body.facts).missing([[pattern]], [body.types[pattern]])
        if witness is not None:
            report(
                Diagnostic(
                    "E317",
                    f"`{quote(pattern)}` does not cover `{witness[0]}`",
                    pattern.span,
                    (Note("what is bound here must always fit"),),
                    "take cases with `match`",
                )
            )


def _binders(body: Body) -> list[s.Pattern]:
    """The whole patterns, but for those of arms, that ask for a constructor."""
    patterns = [p for p in body.types if isinstance(p, s.Pattern)]
    parts = {part for p in patterns for part in s.children(p)}
    parts |= {a.pattern for m in body.types if isinstance(m, s.Match) for a in m.arms}
    return [
        p for p in patterns if p not in parts and any(isinstance(x, s.PCons) for x in s.nodes(p))
    ]


def _check(e: s.Match, body: Body, report: Callable[[Diagnostic], None]) -> None:
    _check_reached(e, body, report)
    rows: list[Row] = [[a.pattern] for a in e.arms if a.guard is None]
    try:
        witness = _Matrix(body.facts).missing(rows, [body.types[e.subject]])
    except _TooLarge:
        report(
            Diagnostic(
                "E318",
                "this `match` has too many cases to see that it covers all",
                e.span,
                (),
                "add an arm `_ => …`",
            )
        )
        return
    if witness is not None:
        report(
            Diagnostic(
                "E317",
                f"`match` does not cover `{witness[0]}`",
                e.subject.span,
                (Note(f"`{quote(e.subject)}` is {t.show(body.types[e.subject])}"),),
                "add an arm `_ => …` for all that is left",
            )
        )


def _check_reached(e: s.Match, body: Body, report: Callable[[Diagnostic], None]) -> None:
    """Warn of arms that never are."""
    rows: list[Row] = []
    matrix = _Matrix(body.facts)
    for i, arm in enumerate(e.arms):
        if not _reached(rows, arm, body.types[e.subject], matrix):
            why = "what it takes, arms before it take"
            report(Diagnostic("W301", "this arm is never reached", arm.pattern.span, (Note(why),)))
        if arm.guard is not None:
            continue
        rows.append([arm.pattern])
        if isinstance(arm.pattern, (s.PName, s.PWild)) and i < len(e.arms) - 1:
            report(
                Diagnostic(
                    "W301",
                    "this arm is never reached",
                    e.arms[i + 1].pattern.span,
                    (Note("this one takes everything", arm.pattern.span),),
                    "constructors are capitalised; a small letter binds a variable"
                    if isinstance(arm.pattern, s.PName)
                    else None,
                )
            )
            return


def _reached(rows: list[Row], arm: s.Arm, subject: Term, matrix: _Matrix) -> bool:
    """Whether it is, as far as can be seen."""
    try:
        return not rows or matrix.useful(rows, [arm.pattern], [subject])
    except _TooLarge:
        return True


class _Matrix:
    def __init__(self, facts: Facts):
        self.facts = facts
        self.steps = 0

    def missing(self, rows: list[Row], columns: list[Term]) -> list[str] | None:
        """Values, one a column, that no row matches; None if there are none."""
        self.steps += 1 + len(rows)
        if self.steps > BUDGET:
            raise _TooLarge
        if not columns:
            return None if rows else []
        first, rest = prune(columns[0]), columns[1:]
        heads: list[object] = [h for r in rows if (h := self._head(r[0])) is not None]
        shapes = self._shapes(first)
        if shapes and isinstance(shapes[0], _Record) and "record" in heads:
            heads = [shapes[0].text]
        if shapes is not None and {x.text for x in shapes} <= set(heads):
            for shape in shapes:
                found = self.missing(self._special(rows, shape, first), [*shape.parts, *rest])
                if found is not None:
                    n = len(shape.parts)
                    return [shape.write(found[:n]), *found[n:]]
            return None
        found = self.missing([r[1:] for r in rows if self._head(r[0]) is None], rest)
        if found is None:
            return None
        if shapes is None or not heads:
            return [_other(heads, first), *found]
        absent = next(x for x in shapes if x.text not in heads)
        return [absent.write(["_"] * len(absent.parts)), *found]

    def useful(self, rows: list[Row], row: Row, columns: list[Term]) -> bool:
        """Whether a row matches some values, one a column, that no other of these rows matches."""
        self.steps += 1 + len(rows)
        if self.steps > BUDGET:
            raise _TooLarge
        if not columns:
            return not rows
        first, rest = prune(columns[0]), columns[1:]
        head, heads = self._head(row[0]), [self._head(r[0]) for r in rows]
        shapes = self._shapes(first) or []
        named = [x for x in shapes if isinstance(x, _Record) or head in (None, x.text)]
        every = [x for x in shapes if isinstance(x, _Record) or x.text in heads]
        if named and (head is not None or len(every) == len(shapes)):
            for shape in named:
                parts = [*shape.parts, *rest]
                (own,) = self._special([row], shape, first)
                if self.useful(self._special(rows, shape, first), own, parts):
                    return True
            return False
        others = [r[1:] for r, h in zip(rows, heads, strict=True) if h is None or h == head]
        return self.useful(others, row[1:], rest)

    def _shapes(self, term: Term) -> list[_Shape] | None:
        """All ways to build a value; None if there are endlessly many."""
        if type(term) is Meta:
            return None
        assert isinstance(term, Con)
        head = term.head
        if head == "bool":
            return [_Shape("true", ()), _Shape("false", ())]
        if head == "unit":
            return [_Shape("()", ())]
        if head == "tuple":
            return [_Shape("", term.args)]
        if isinstance(head, tuple) and head[0] == "record":
            return [_Record(",".join(head[1]), term.args)]
        if isinstance(head, tuple) and head[0] == "data" and head[1] != MAP:
            decl = self.facts.data[head[1]]
            out = []
            for name, fields in decl.fields.items():
                of = dict(zip(decl.params, term.args, strict=True))
                out.append(_Shape(name, tuple([t.from_type(f, of) for f in fields])))
            return out
        return None

    def _head(self, p: s.Pattern | None) -> object | None:
        return self.facts.constructor(p) if isinstance(p, s.PCons) else _head(p)

    def _special(self, rows: list[Row], shape: _Shape, term: Term) -> list[Row]:
        """Rows that match values of a shape, with its parts spread out."""
        out: list[Row] = []
        for r in rows:
            p = r[0]
            head = self._head(p)
            if head is None:
                out.append([None] * len(shape.parts) + r[1:])
            elif isinstance(p, s.PRecord):
                given = dict(p.fields)
                assert isinstance(term, Con)
                out.append([given.get(k) for k in term.head[1]] + r[1:])
            elif head == shape.text:
                parts = (
                    p.items if isinstance(p, s.PTuple) else p.args if isinstance(p, s.PCons) else ()
                )
                out.append([*parts, *r[1:]])
        return out


def _other(heads: list[object], term: Term) -> str:
    """A number or text that no arm has; `_` where any value will do."""
    used = {h[1] for h in heads if isinstance(h, tuple)}
    if not used or not isinstance(term, Con) or term.head not in ("num", "text"):
        return "_"
    if term.head == "text":
        return next(f'"{"a" * i}"' for i in range(len(used) + 1) if "a" * i not in used)
    return str(next(i for i in range(len(used) + 1) if i not in used))


class _Record(_Shape):
    def write(self, parts: Sequence[str]) -> str:
        names = self.text.split(",")
        return "{" + ", ".join([f"{k}: {p}" for k, p in zip(names, parts, strict=True)]) + "}"


def _head(p: s.Pattern | None) -> object | None:
    """What a pattern asks for at its top; None if it takes anything."""
    match p:
        case s.PLit(value=bool() as v):
            return "true" if v else "false"
        case s.PLit(value=None):
            return "()"
        case s.PLit(value=v):
            return ("literal", v)
        case s.PTuple(items=items):
            return "" if items else "()"
        case s.PRecord():
            return "record"
        case _:
            return None
