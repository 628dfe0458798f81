"""What guides owe their models: every site, and strategies that exist."""

from __future__ import annotations

from collections.abc import Callable

from ppl.lang import syntax as s
from ppl.lang.check.effects import names_of
from ppl.lang.check.report import quote
from ppl.lang.check.scope import Facts
from ppl.semantics.diagnostics import Diagnostic, Note, suggest

#: gradient estimators of a site
STRATEGIES = ("reparam", "implicit", "reinforce", "enum", "mvd", "disarm", "arms")


def check_strategy(e: s.Expr, report: Callable[[Diagnostic], None]) -> s.Expr | None:
    """The strategy after `by`; the value inside `baseline(strategy, value)`, to be resolved."""
    value: s.Expr | None = None
    if isinstance(e, s.Call) and isinstance(e.fn, s.Name) and e.fn.name == "baseline":
        if len(e.args) == 2 and not e.named:
            e, value = e.args
    if not (isinstance(e, s.Name) and e.name in STRATEGIES):
        hint = suggest(e.name, STRATEGIES) if isinstance(e, s.Name) else None
        report(
            Diagnostic(
                "E513",
                f"there is no gradient strategy `{quote(e)}`",
                e.span,
                (),
                hint or f"strategies are {', '.join(STRATEGIES)} and `baseline(strategy, value)`",
            )
        )
    return value


def check_sites(guide: s.Guide, facts: Facts, report: Callable[[Diagnostic], None]) -> None:
    """A guide draws each latent variable of its model by name (others are auxiliary)."""
    model = facts.functions.get(guide.target)
    if model is None or not isinstance(model.body, s.Block):
        return
    proposed = {p.name for p in _sites(guide.body)}
    for site in _sites(model.body):
        if site.name not in proposed:
            report(
                Diagnostic(
                    "E514",
                    f"guide `{guide.name}` misses the site `{site.name}` of `{model.name}`",
                    guide.name_span,
                    (Note("it is drawn here", site.span),),
                    suggest(site.name, proposed) or f"add `{site.name} ~ …` to the guide",
                )
            )


def _sites(block: s.Block) -> list[s.PName]:
    return [p for st in block.statements if isinstance(st, s.Draw) for p in names_of(st.pattern)]
