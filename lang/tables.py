"""The LALR(1) tables of the grammar, built by Lark and kept as JSON beside it.

Lark checks the grammar (strict mode: a conflict is an error) and builds the tables; that takes
longer than reading a program does. So they are built once, by `python -m ppl.lang.tables`, and
read back here as plain data: no unpickling, no cache directory, no import of Lark. A test holds
that `grammar.json` is what `grammar.lark` gives.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pkgutil import get_data
from typing import Any

STARTS = ("module", "expr", "type")
END = "$END"

#: how a rule's value is made, apart from calling the builder's method of that name
PASS = "?"  # the value of its one child
SPLICE = "*"  # a list, which is spliced into the rule that uses it


@dataclass(frozen=True, slots=True)
class Rule:
    """`shape` lists the children that reach the builder: positions in the rule, -1 for None."""

    origin: str
    size: int
    action: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """`actions[state][terminal]` is the next state, or `~r` to reduce by `rules[r]`;
    `gotos[state][origin]` the next state after a reduction.

    A terminal is called by its text (`"=>"`, `"model"`) or, if it has many texts, by its name.
    """

    rules: tuple[Rule, ...]
    actions: tuple[dict[str, int], ...]
    gotos: tuple[dict[str, int], ...]
    start: dict[str, int]
    accept: dict[str, int]

    @property
    def terminals(self) -> frozenset[str]:
        return frozenset().union(*self.actions)


@cache
def load() -> Tables:
    """The committed tables."""
    return from_json(package_text("grammar.json"))


def package_text(name: str) -> str:
    """A file of this package. (`importlib.resources` takes longer to import than this to run.)"""
    data = get_data("ppl.lang", name)
    assert data is not None
    return data.decode()


def from_json(text: str) -> Tables:
    data = json.loads(text)
    return Tables(
        rules=tuple(Rule(o, n, a, tuple(shape)) for o, n, a, shape in data["rules"]),
        actions=_unpack(data["terminals"], data["actions"]),
        gotos=_unpack(data["origins"], data["gotos"]),
        start=data["start"],
        accept=data["accept"],
    )


def grammar() -> str:
    """The text of `grammar.lark`."""
    return package_text("grammar.lark")


def build(grammar: str) -> str:
    """The tables of a grammar as JSON. Needs Lark; raises its GrammarError on a conflict."""
    from lark import Lark
    from lark.lexer import Lexer, PatternStr
    from lark.parsers.lalr_analysis import Shift

    class Elsewhere(Lexer):
        """Terminals are made by `ppl.lang.lexer`."""

        def __init__(self, lexer_conf: object):
            pass

        def lex(self, lexer_state: Any, parser_state: Any) -> Any:
            raise NotImplementedError

    built = Lark(grammar, parser="lalr", lexer=Elsewhere, start=list(STARTS), strict=True)
    table = built.parser.parser._parse_table
    text = {t.name: t.pattern.value for t in built.terminals if isinstance(t.pattern, PatternStr)}

    def spelling(symbol: str) -> str:
        return text.get(symbol, symbol)

    number = _breadth_first(table, Shift, spelling)
    reduced = {arg for s in number for a, arg in table.states[s].values() if a is not Shift}
    rules = sorted(reduced, key=_rule_key)
    index = {rule: i for i, rule in enumerate(rules)}
    actions: list[dict[str, int]] = [{} for _ in number]
    gotos: list[dict[str, int]] = [{} for _ in number]
    origins = {rule.origin.name for rule in rules}
    for state, i in number.items():
        for symbol, (action, arg) in table.states[state].items():
            if symbol in origins:
                gotos[i][symbol] = number[arg]
            else:
                actions[i][spelling(symbol)] = number[arg] if action is Shift else ~index[arg]
    data = {
        "rules": [[rule.origin.name, len(rule.expansion), *_value(rule)] for rule in rules],
        "terminals": (terminals := sorted(set().union(*actions))),
        "actions": _pack(terminals, actions),
        "origins": (names := sorted(set().union(*gotos))),
        "gotos": _pack(names, gotos),
        "start": {name: number[table.start_states[name]] for name in STARTS},
        "accept": {name: number[table.end_states[name]] for name in STARTS},
    }
    lines = ",\n".join(f"{json.dumps(k)}: {_rows(v)}" for k, v in data.items())
    return f"{{\n{lines}\n}}\n"


def _pack(symbols: list[str], rows: list[dict[str, int]]) -> list[list[int]]:
    """Rows as [symbol's number, entry, symbol's number, entry, …]."""
    number = {symbol: i for i, symbol in enumerate(symbols)}
    return [[x for symbol in sorted(row) for x in (number[symbol], row[symbol])] for row in rows]


def _unpack(symbols: list[str], rows: list[list[int]]) -> tuple[dict[str, int], ...]:
    return tuple(
        dict(zip(map(symbols.__getitem__, row[::2]), row[1::2], strict=True)) for row in rows
    )


def _rows(value: Any) -> str:
    dump = json.JSONEncoder(separators=(",", ":")).encode
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(dump, value)) + "\n]"
    return dump(value)


def _rule_key(rule: Any) -> tuple[str, list[str], str]:
    return rule.origin.name, [s.name for s in rule.expansion], rule.alias or ""


def _breadth_first(table: Any, shift: Any, name: Any) -> dict[int, int]:
    """A numbering of the states that depends on the grammar alone."""
    number: dict[int, int] = {}
    queue = [table.start_states[name] for name in STARTS]
    for state in queue:
        if state in number:
            continue
        number[state] = len(number)
        row = table.states[state]
        queue += [row[s][1] for s in sorted(row, key=lambda s: (name(s), s)) if row[s][0] is shift]
    return number


def _value(rule: Any) -> tuple[str, list[int]]:
    """The action and shape of one of Lark's rules."""
    kept = [
        rule.options.keep_all_tokens or not (s.is_term and s.filter_out) for s in rule.expansion
    ]
    absent = list(rule.options.empty_indices) or [False] * len(rule.expansion)
    shape: list[int] = []
    position = 0
    for is_absent in absent:
        if is_absent:
            shape.append(-1)
        else:
            if kept[position]:
                shape.append(position)
            position += 1
    if rule.alias:
        return rule.alias, shape
    if rule.origin.name.startswith("_"):
        return SPLICE, shape
    if rule.options.expand1:
        if len(shape) != 1:
            raise ValueError(f"a ?rule without an alias passes on one child: {rule}")
        return PASS, shape
    return rule.origin.name, shape


if __name__ == "__main__":
    from pathlib import Path

    Path(__file__).with_name("grammar.json").write_text(build(grammar()), "utf-8")
