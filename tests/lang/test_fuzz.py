"""Whatever the text, the parser gives a tree or coded diagnostics, and the formatter keeps trees.

3,000 texts in the usual run; `pytest -m soak tests/lang/test_fuzz.py` reads 100,000.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from ppl.lang import syntax, tables
from ppl.lang.format import format_source
from ppl.lang.lexer import scan
from ppl.lang.parser import parse, parse_expression, parse_type
from ppl.semantics.codes import CODES
from ppl.semantics.diagnostics import DiagnosticError, Source

from .sentences import sentence, spaced

ALPHABET = (
    "abxyzAB_ 0123456789.,;:(){}[]+-*/%^@=<>~|?!&#\"'\\\n\t\r\f\0éμ²≤∼٣\u0301\u202e\ud800😀eE"
)

#: pieces of programs that are wrong where they stand, or somewhere else right
PIECES = [
    "\n{",
    "x = 1\n",
    " if x else ",
    " < a < ",
    ":\n",
    "\n-",
    "_",
    "f(1)",
    '"\\q"',
    "a=1, a=2",
    "**",
]


def noise(rng: random.Random, corpus: list[Source]) -> str:
    return "".join(rng.choices(ALPHABET, k=rng.randrange(60)))


def soup(rng: random.Random, corpus: list[Source]) -> str:
    words = sorted(tables.load().terminals - {tables.END, "_SEP"}) + ["\n", ";", "1.5", '"t"', "a"]
    return " ".join(rng.choices(words, k=rng.randrange(40)))


def mutant(rng: random.Random, corpus: list[Source]) -> str:
    """A program with a few characters or tokens deleted, doubled, swapped or replaced."""
    source = rng.choice(corpus)
    tokens = scan(source)
    first = rng.randrange(len(tokens))
    window = tokens[first : first + 60] if rng.random() < 0.5 else tokens
    parts = [source.text[t.start : t.end] + rng.choice(["", " "]) for t in window]
    for _ in range(rng.randrange(4)):
        i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(5):
            case 0:
                parts[i] = ""
            case 1:
                parts[i] *= 2
            case 2:
                parts[i], parts[j] = parts[j], parts[i]
            case 3:
                parts[i] = rng.choice(PIECES)
            case _:
                cut = rng.randrange(len(parts[i]) + 1)
                parts[i] = parts[i][:cut] + rng.choice(ALPHABET) + parts[i][cut:]
    return "".join(parts)


def derived(rng: random.Random, corpus: list[Source]) -> str:
    """A sentence of the grammar, often with one token changed."""
    texts = sentence(rng, budget=40)
    if rng.random() < 0.5:
        i = rng.randrange(len(texts) + 1)
        texts[i : i + 1] = [soup(rng, corpus)[:6]]
    return spaced(rng, texts)


def read(text: str, count: Counter[str]) -> None:
    source = Source("fuzz.ppl", text)
    for start in (parse, parse_expression, parse_type):
        try:
            tree = start(source)
        except DiagnosticError as error:
            assert error.diagnostics
            for d in error.diagnostics:
                assert d.code in CODES and d.code[:2] in ("E0", "E1")
                assert d.span is not None
                assert 0 <= d.span.start <= d.span.end <= len(text)
                assert d.render().startswith(f"error[{d.code}]: ")
                count[d.code] += 1
            continue
        count[start.__name__] += 1
        for node in syntax.nodes(tree):
            assert 0 <= node.span.start <= node.span.end <= len(text)
    try:
        tree = parse(source)
    except DiagnosticError:
        return
    out = format_source(source)
    again = Source("formatted.ppl", out)
    assert syntax.same(tree, parse(again)), text
    assert format_source(again) == out, text


def fuzz(n: int, seed: int, corpus: list[Source]) -> Counter[str]:
    count: Counter[str] = Counter()
    makers = [noise, soup, mutant, derived]
    for i in range(n):
        rng = random.Random(seed * 1_000_003 + i)
        text = makers[i % len(makers)](rng, corpus)
        try:
            read(text, count)
        except Exception as error:
            raise AssertionError(f"seed {seed}, text {i}: {text!r}") from error
    return count


def test_arbitrary_texts(corpus):
    count = fuzz(3_000, 1, corpus)
    assert count["parse"] > 100 and count["parse_expression"] > 10 and count["parse_type"] > 5
    assert len([code for code in count if code in CODES]) >= 15, count


@pytest.mark.soak
def test_a_hundred_thousand_arbitrary_texts(corpus):
    count = fuzz(100_000, 2, corpus)
    assert len([code for code in count if code in CODES]) >= 17, count
