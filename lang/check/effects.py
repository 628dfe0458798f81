"""Which blocks are measures, and where `return` and effects may stand. Syntax alone decides."""

from __future__ import annotations

from collections.abc import Iterator

from ppl.lang import syntax as s
from ppl.semantics.diagnostics import Diagnostic, Note

EFFECTS = (s.Draw, s.Observe, s.Factor, s.Condition, s.Checkpoint, s.Return, s.ParamStmt)


def is_measure_block(block: s.Block) -> bool:
    """Whether a block has an effect, runs a measure before its end, or ends in `return`."""
    statements = block.statements
    last = len(statements) - 1
    for i, st in enumerate(statements):
        if isinstance(st, EFFECTS) or (i < last and isinstance(st, s.ExprStmt)):
            return True
    return False


def misplaced(block: s.Block) -> Iterator[Diagnostic]:
    """`return` before the end, directly or in a branch whose value is dropped; double names."""
    drawn: dict[str, s.PName] = {}
    last = len(block.statements) - 1
    for i, st in enumerate(block.statements):
        if isinstance(st, s.Return) and i < last:
            yield Diagnostic(
                "E504",
                "`return` is only allowed at the end of a block",
                st.span,
                (Note("what follows would never run", block.statements[i + 1].span),),
                "remove what follows, or put it under `else`",
            )
        elif isinstance(st, s.ExprStmt) and i < last:
            early = _early_return(st.expr)
            if early is not None:
                yield Diagnostic(
                    "E504",
                    "`return` ends only its own branch: the value would be dropped",
                    early.span,
                    (Note("the block goes on here", block.statements[i + 1].span),),
                    "put the rest of the block under `else { … }`",
                )
        elif isinstance(st, s.Draw):
            for name in names_of(st.pattern):
                if name.name in drawn:
                    yield Diagnostic(
                        "E505",
                        f"`{name.name}` is drawn twice in one block",
                        name.span,
                        (Note("the first draw", drawn[name.name].span),),
                        "sites are named by their variable: give this one another name",
                    )
                else:
                    drawn[name.name] = name


def _early_return(e: s.Expr) -> s.Return | None:
    """The first `return e` with a value in a branch of `if` or `match`."""
    todo: list[s.Expr | None] = [e]
    while todo:
        match todo.pop():
            case s.If(then=then, other=other):
                todo += [other, then]
            case s.Match(arms=arms):
                todo += [a.body for a in reversed(arms)]
            case s.Block(statements=(*_, s.Return() as r)):
                if not (isinstance(r.value, s.Lit) and r.value.value is None):
                    return r
            case s.Block(statements=(*_, s.ExprStmt(expr=expr))):
                todo.append(expr)
            case _:
                pass
    return None


def names_of(pattern: s.Pattern) -> Iterator[s.PName]:
    """The names a pattern binds, from left to right."""
    todo = [pattern]
    while todo:
        match todo.pop():
            case s.PName() as p:
                yield p
            case s.PTuple(items=items) | s.PCons(args=items):
                todo += reversed(items)
            case s.PRecord(fields=fields):
                todo += [p for _, p in reversed(fields)]
            case _:
                pass
