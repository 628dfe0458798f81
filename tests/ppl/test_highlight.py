"""The Pygments lexer: it loses nothing, marks no program as wrong, and agrees with our own."""

from __future__ import annotations

import random
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pygments
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.formatters import NullFormatter
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String

from ppl.highlight import PplLexer
from ppl.lang.lexer import scan
from ppl.lang.tokens import KEYWORDS
from ppl.semantics.diagnostics import Source
from ppl.verify.programs import FEATURES, MACHINE_FEATURES, programs

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    [
        *(ROOT / "examples").rglob("*.ppl"),
        *(ROOT / "tests").rglob("*.ppl"),
        *(ROOT / "lang").rglob("*.ppl"),
    ]
)
LEXER = PplLexer(stripnl=False, ensurenl=False)


def assert_agrees(text: str) -> None:
    """Pieces make up the text; keywords, names, literals and comments are where ours are."""
    found = list(LEXER.get_tokens_unprocessed(text))
    assert "".join(word for _, _, word in found) == text
    assert not [word for _, kind, word in found if kind in Error]
    at = {start: (kind, word) for start, kind, word in found}
    for token in scan(Source("test", text)):
        kind, word = at[token.start]
        assert token.end - token.start == len(word)
        is_word = kind in Keyword and kind not in Keyword.Type or kind in Operator.Word
        assert is_word == (token.kind in KEYWORDS), word
        wanted = {
            "INT": Number.Integer,
            "FLOAT": Number.Float,
            "TEXT": String,
            "COMMENT": Comment,
            "DOC": String.Doc,
        }
        if token.kind in wanted:
            assert kind in wanted[token.kind]
        elif token.kind in ("NAME", "MAX"):
            assert kind in Name or kind in Keyword.Type


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_files(path):
    assert_agrees(path.read_text())


@given(programs(features=FEATURES | MACHINE_FEATURES))
@settings(max_examples=25, deadline=None)
def test_generated_programs(program):
    assert_agrees(program.source)


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_is_lost(text):
    assert "".join(word for _, _, word in LEXER.get_tokens_unprocessed(text)) == text


def test_what_is_no_token_is_marked():
    for text in ("a && b", "'x'", '"open', "1.2.3", "x @@ $", "3x"):
        assert any(kind in Error for _, kind, _ in LEXER.get_tokens_unprocessed(text)), text


def test_words_are_told_apart():
    kinds = {
        word: str(kind).removeprefix("Token.")
        for _, kind, word in LEXER.get_tokens_unprocessed(
            "## doc\nmodel m(y: [real]) { mu ~ normal(pi, t.0.1); let n = Leaf(y.max) and true; index }"
        )
    }
    assert kinds["model"] == "Keyword.Declaration" and kinds["m"] == "Name.Function"
    assert kinds["real"] == "Keyword.Type" and kinds["normal"] == "Name.Builtin"
    assert kinds["index"] == "Name"  # a row of the table of primitives, and no name of the language
    assert kinds["pi"] == "Name.Constant" and kinds["Leaf"] == "Name.Class"
    assert kinds["max"] == "Name.Attribute" and kinds["and"] == "Operator.Word"
    assert (
        kinds["true"] == "Keyword.Constant" and kinds["0"] == kinds["1"] == "Literal.Number.Integer"
    )


def test_the_entry_point_names_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (target,) = project["entry-points"]["pygments.lexers"].values()
    assert EntryPoint("ppl", target, "pygments.lexers").load() is PplLexer
    assert pygments.highlight("model m()", LEXER, NullFormatter()) == "model m()"


def test_random_pieces_of_programs():
    rng = random.Random(5)
    for path in FILES[:30]:
        text = path.read_text()
        start = rng.randrange(len(text))
        piece = text[start : start + 200]
        assert "".join(w for _, _, w in LEXER.get_tokens_unprocessed(piece)) == piece
