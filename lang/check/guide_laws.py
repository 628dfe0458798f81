"""What a guide's laws owe those of its model: their values, and gradients that pass.

Checked where both laws are written out, as calls of primitives; what is passed through functions is
seen when the guide runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ppl.lang import syntax as s
from ppl.lang.check.effects import names_of
from ppl.lang.check.report import quote
from ppl.lang.check.scope import Builtin, Facts
from ppl.semantics.diagnostics import Diagnostic, Note, Span
from ppl.semantics.signatures import ALIASES, PRIMITIVES, Distribution

#: supports that do not depend on parameters, and what each is a part of
_PARTS = {"unit_interval": {"positive", "real"}, "positive": {"real"}}
_WHOLE = frozenset("bool nat index index_cuts up_to int_interval drawn counts".split())
_REAL = frozenset("real positive unit_interval interval at_least circular".split())
#: strategies whose gradients pass through the value that is drawn
_THROUGH = ("reparam", "implicit")
#: functions that jump, and comparisons
_JUMPS = frozenset("floor ceil round trunc sign indicator".split())
_COMPARISONS = frozenset(("==", "!=", "<", ">", "<=", ">="))


def check_laws(guide: s.Guide, facts: Facts, report: Callable[[Diagnostic], None]) -> None:
    """E515, a law without some of the values that the model's has; E516, a strategy that a law does
    not have; E517, a gradient through a value that decides something."""
    model = facts.functions.get(guide.target)
    if model is None or not isinstance(model.body, s.Block):
        return
    wanted = dict(_draws(model.body))
    for name, st in _draws(guide.body):
        law, strategy = _law(st.expr, facts), _strategy(st)
        target = _law(wanted[name].expr, facts) if name in wanted else None
        if law is not None and target is not None and _misses(law, target):
            report(
                Diagnostic(
                    "E515",
                    f"`{law.name}` never draws some of the values that `{name}` has in "
                    f"`{model.name}`",
                    st.expr.span,
                    (Note(f"there it is drawn from `{target.name}`", wanted[name].expr.span),),
                    "a guide needs mass wherever its model has some: choose a law of that support",
                )
            )
        if law is None or strategy is None:
            continue
        through, whole = strategy.name in _THROUGH, _kind(law) is _WHOLE
        if (through and whole) or (strategy.name == "enum" and not law.finite):
            why = "its values do not move" if through else "it has infinitely many values"
            report(
                Diagnostic(
                    "E516",
                    f"`{law.name}` has no gradient by `{strategy.name}`: {why}",
                    strategy.span,
                    (),
                    "`by reinforce` needs nothing of a law"
                    + ("; `by enum` sums over its values" if law.finite else ""),
                )
            )
        elif through:
            jump = _jump(name, (model.body, guide.body), facts)
            if jump is not None:
                report(
                    Diagnostic(
                        "E517",
                        f"`{name}` decides something, so its gradient by `{strategy.name}` would "
                        "miss a part",
                        strategy.span,
                        (Note("a small change of it is a jump here", jump),),
                        f"write `{name} ~ {quote(st.expr)} by reinforce`",
                    )
                )


def _draws(block: s.Block) -> Iterator[tuple[str, s.Draw]]:
    for st in block.statements:
        if isinstance(st, s.Draw) and isinstance(st.pattern, s.PName):
            yield st.pattern.name, st


def _law(e: s.Expr, facts: Facts) -> Distribution | None:
    """The row of the table that a law is written as."""
    if not isinstance(e, s.Call):
        return None
    meaning, arity = facts.meaning.get(e.fn), len(e.args) + len(e.named)
    if not isinstance(meaning, Builtin):
        return None
    name = ALIASES.get((meaning.name, arity)) or ALIASES.get((meaning.name, None)) or meaning.name
    row = PRIMITIVES.get(name)
    return row if isinstance(row, Distribution) else None


def _strategy(st: s.Draw) -> s.Name | None:
    e = st.strategy
    if isinstance(e, s.Call) and e.args:  # a baseline of a strategy
        e = e.args[0]
    return e if isinstance(e, s.Name) else None


def _kind(law: Distribution) -> frozenset[str] | None:
    name = law.support.partition("(")[0]
    return next((kind for kind in (_WHOLE, _REAL) if name in kind), None)


def _misses(law: Distribution, target: Distribution) -> bool:
    if None in (_kind(law), _kind(target)):  # those of other laws, vectors
        return False
    if _kind(law) != _kind(target):
        return True
    if target.support == "nat":
        return law.finite
    return target.support in _PARTS.get(law.support, ())


def _jump(name: str, blocks: tuple[s.Block, ...], facts: Facts) -> Span | None:
    """The first place that compares a site's value, or what is computed of it, or rounds it."""
    for block in blocks:
        moving: set[int] = set()

        def moves(node: s.Node, moving: set[int] = moving) -> bool:
            return any(
                isinstance(n, s.Name) and id(facts.meaning.get(n)) in moving for n in s.nodes(node)
            )

        for node in s.nodes(block):
            match node:
                case s.Draw(pattern=s.PName(name=bound) as p) if bound == name:
                    moving.add(id(facts.binders.get(p)))
                case s.Let(pattern=pattern, expr=e) if moves(e):
                    moving |= {id(facts.binders.get(p)) for p in names_of(pattern)}
                case s.Binary(op=op) if op in _COMPARISONS and moves(node):
                    return node.span
                case s.Call(fn=s.Name(name=f)) if f in _JUMPS and moves(node):
                    return node.span
    return None
