"""The committed tables are the grammar's, and a grammar with a conflict is refused."""

from __future__ import annotations

import pytest
from lark.exceptions import GrammarError

from ppl.lang import tables
from ppl.lang.builder import Builder
from ppl.lang.lexer import scan
from ppl.lang.tokens import KEYWORDS
from ppl.semantics.diagnostics import Source


def test_the_tables_are_up_to_date():
    assert tables.package_text("grammar.json") == tables.build(tables.grammar())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("?sum: product | sum", "?sum: product | sum sum -> binary | sum"),  # shift/reduce
        ("?pattern: ", "?pattern: name -> pattern_name | "),  # reduce/reduce
    ],
)
def test_a_grammar_with_a_conflict_is_refused(old, new):
    grammar = tables.grammar()
    assert old in grammar
    with pytest.raises(GrammarError):
        tables.build(grammar.replace(old, new))


def test_every_action_is_a_method_of_the_builder():
    actions = {r.action for r in tables.load().rules} - {tables.PASS, tables.SPLICE}
    methods = {name for name in vars(Builder) if not name.startswith("_")}
    assert actions == methods


def test_the_lexer_makes_every_terminal():
    named = {"NAME", "MAX", "INT", "FLOAT", "TEXT", "_SEP", tables.END}
    for terminal in tables.load().terminals - named:
        (token,) = scan(Source("test", terminal))
        assert token.kind == terminal
    assert tables.load().terminals >= KEYWORDS
