"""Random sentences of the grammar, derived from its rules and not from the parser's tables."""

from __future__ import annotations

import random
from functools import cache

from lark import Lark
from lark.lexer import Lexer, PatternStr

from ppl.lang import tables

_TEXTS = {
    "NAME": ["a", "b", "x1", "theta", "_", "Cons", "Nil"],
    "MAX": ["max"],
    "INT": ["0", "1", "12", "1_000"],
    "FLOAT": ["0.5", "1e-3", "2.0"],
    "TEXT": ['""', '"a # b"', r'"\n\u{3b1}"'],
    "_SEP": [";", "\n", "\n\n", " # note\n", "\n## doc\n"],
}


class _None(Lexer):
    def __init__(self, conf):
        pass

    def lex(self, lexer_state, parser_state):
        raise NotImplementedError


@cache
def _grammar():
    """The rules by origin: lists of (is terminal, symbol); and each rule's least depth."""
    lark = Lark(tables.grammar(), parser="lalr", lexer=_None, start=list(tables.STARTS))
    text = {t.name: t.pattern.value for t in lark.terminals if isinstance(t.pattern, PatternStr)}
    rules: dict[str, list[list[tuple[bool, str]]]] = {}
    for rule in lark.rules:
        symbols = [(s.is_term, text.get(s.name, s.name)) for s in rule.expansion]
        rules.setdefault(rule.origin.name, []).append(symbols)
    depth = dict.fromkeys(rules, 10**6)
    changed = True
    while changed:
        changed = False
        for origin, options in rules.items():
            least = min(_depth(option, depth) for option in options)
            changed |= least < depth[origin]
            depth[origin] = least
    return rules, depth


def _depth(option, depth) -> int:
    return 1 + max((0 if is_term else depth[s] for is_term, s in option), default=0)


def origins() -> set[str]:
    return set(_grammar()[0])


def sentence(rng: random.Random, start: str = "module", budget: int = 60) -> list[str]:
    """The texts of the tokens of a random sentence; rules grow until `budget` expansions."""
    rules, depth = _grammar()
    out: list[str] = []
    todo: list[tuple[bool, str]] = [(False, start)]
    while todo:
        is_term, symbol = todo.pop()
        if is_term:
            out.append(rng.choice(_TEXTS.get(symbol, [symbol])))
            continue
        options = rules[symbol]
        if budget <= 0:
            least = min(_depth(option, depth) for option in options)
            options = [option for option in options if _depth(option, depth) == least]
        budget -= 1
        todo += reversed(rng.choice(options))
    return out


def spaced(rng: random.Random, texts: list[str]) -> str:
    """Tokens as a program, with random blanks."""
    return "".join(text + rng.choice([" ", "  ", "\t"]) for text in texts)
