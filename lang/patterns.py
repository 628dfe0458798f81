"""The left of `~`: read as an expression, turned into the pattern it looks like."""

from __future__ import annotations

from ppl.lang import syntax as s
from ppl.semantics.diagnostics import DiagnosticError, fail


def of_name(span: s.Span, name: str) -> s.Pattern:
    """`_`, a constructor if capitalised, else a binder."""
    if name == "_":
        return s.PWild(span)
    if is_constructor(name):
        return s.PCons(span, name)
    return s.PName(span, name)


def is_constructor(name: str) -> bool:
    return name.rpartition(".")[2][:1].isupper()


def of_expression(e: s.Expr) -> s.Pattern:
    """The pattern written like `e`. Raises DiagnosticError (E109) if there is none.

    Recursion is as deep as brackets are nested, which the parser limits.
    """
    match e:
        case s.Name(span, name):
            return of_name(span, name)
        case s.Tuple(span, items):
            return s.PTuple(span, tuple(map(of_expression, items)))
        case s.Lit(span, None):
            return s.PTuple(span, ())
        case s.Record(span, fields):
            return s.PRecord(span, tuple((k, of_field(k, v)) for k, v in fields))
        case s.Block(span, (s.ExprStmt(_, s.Name(place, name)),)):  # `{ a }` is a block elsewhere
            return s.PRecord(span, ((name, s.PName(place, name)),))
        case s.Call(span, s.Name(_, name), args, ()) if is_constructor(name):
            return s.PCons(span, name, tuple(map(of_expression, args)))
        case s.Call(span, s.Field(_, s.Name(_, module), name), args, ()) if is_constructor(name):
            return s.PCons(span, f"{module}.{name}", tuple(map(of_expression, args)))
        case s.Field(span, s.Name(_, module), name) if is_constructor(name):
            return s.PCons(span, f"{module}.{name}")
        case _:
            raise _no_pattern(e)


def of_field(name: str, value: s.Expr) -> s.Pattern:
    """The pattern of a record's field; the shorthand `{X}` binds whatever its spelling."""
    if isinstance(value, s.Name) and value.name == name:
        return s.PName(value.span, name)
    return of_expression(value)


def first_literal(pattern: s.Pattern) -> s.PLit | None:
    """A literal within a pattern, which only a `match` arm may have."""
    match pattern:
        case s.PLit():
            return pattern
        case s.PTuple(_, items) | s.PCons(_, _, items):
            parts = items
        case s.PRecord(_, fields):
            parts = tuple(p for _, p in fields)
        case _:
            return None
    return next(filter(None, map(first_literal, parts)), None)


def _no_pattern(e: s.Expr) -> DiagnosticError:
    text = e.span.text if len(e.span.text) <= 40 and "\n" not in e.span.text else "e"
    match e:
        case s.Index() | s.Field():
            message = "`~` binds a name, and this is a part of something"
            hint = f"write `observe {text} ~ …` for data, `x ~ for … {{ … }}` for an array of draws"
        case s.Lit() | s.Unary():
            message = "`~` binds a name, and this is a value"
            hint = f"write `observe {text} ~ …` to condition on it"
        case _:
            message = "the left of `~` is a name or a pattern of names"
            hint = "write `observe e ~ d` to condition on the value of `e`"
    return fail("E109", message, span=e.span, hint=hint)
