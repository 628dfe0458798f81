"""The formatter: one way to space and indent a program. Lines and comments stay where they are.

It works on tokens, so that nothing is lost: line ends are the author's (they mean something),
blanks and indentation are not. Trailing comments of adjacent lines are aligned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import dropwhile, groupby, takewhile

from ppl.lang import lexer, newlines, parser, syntax
from ppl.lang.tokens import Token
from ppl.semantics.diagnostics import Source

INDENT = 2

_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_VALUE_ENDS = frozenset("NAME MAX INT FLOAT TEXT true false ) ] } ?".split())
_COMMENTS = frozenset(("COMMENT", "DOC"))


@dataclass(frozen=True)
class _Line:
    indent: int
    code: str
    comment: str


def format_source(source: Source) -> str:
    """The program in the one layout. Parses to the same tree, and formatting again is no change.

    Raises DiagnosticError if the source is no program.
    """
    tree = parser.parse(source)
    tokens = lexer.scan(source)
    parts = newlines.separate(source, tokens)
    lines = _lines(source, tokens, _glued(tree, parts), _firsts(parts))
    text = "\n".join(_aligned(list(lines)))
    return text + "\n" if text else ""


def _glued(tree: syntax.Node, tokens: Sequence[Token]) -> frozenset[int]:
    """The offsets of tokens that stand close to the one before."""
    records = {
        node.span.start
        for node in syntax.nodes(tree)
        if isinstance(node, (syntax.Record, syntax.PRecord, syntax.TypeRecord))
    }
    glued: set[int] = set()
    open_: list[Token] = []
    before, last = "_SEP", Token("_SEP", 0, 0)  # the kind before the last token, and that
    negation = False  # whether the last token is one
    for token in tokens:
        kind, bracket = token.kind, open_[-1].kind if open_ else ""
        closed = kind in _CLOSE and open_.pop()
        tight = (
            kind in (",", ")", "]", "?", "^", "_SEP")
            # 1 .0 is not 1.0
            or (kind == "." and (last.kind not in ("INT", "FLOAT") or before == "."))
            or (kind == ":" and last.kind != ",")
            or last.kind in ("(", "[", ".", "^")
            or negation
            or (kind in ("(", "[") and last.kind in _VALUE_ENDS)
            or (kind == "}" and (last.kind == "{" or (closed and closed.start in records)))
            or (last.kind == "{" and last.start in records)
            or (bracket == "[" and last.kind == ":")
            or (last.kind == "=" and last.start in glued)
        )
        named = bracket == "(" and kind == "=" and last.kind in ("NAME", "MAX")
        if tight or (named and before in ("(", ",")):
            glued.add(token.start)
        negation = kind == "-" and last.kind not in _VALUE_ENDS
        if kind in _OPEN:
            open_.append(token)
        before, last = last.kind, token
    return frozenset(glued)


def _firsts(tokens: Sequence[Token]) -> frozenset[int]:
    """The offsets of tokens that begin a statement, an arm or a field; others continue one."""
    pairs = zip([Token("_SEP", 0, 0), *tokens], tokens, strict=False)
    return frozenset(b.start for a, b in pairs if a.kind in ("_SEP", "{", ","))


def _lines(
    source: Source, tokens: Sequence[Token], glued: Set[int], firsts: Set[int]
) -> Iterator[_Line]:
    """The lines with code or comments, and at most one blank line between two of them."""
    open_: list[tuple[str, int]] = []  # brackets, and the indent of the line of each
    blank, opened = False, True  # whether blank lines, an opening bracket, end what is above
    for is_end, group in groupby(tokens, key=lambda t: t.kind == "NEWLINE"):
        if is_end:
            blank = blank or len(list(group)) > 1
            continue
        line = _without_needless(list(group))
        if not line:
            continue
        code = [t for t in line if t.kind not in _COMMENTS]
        comment = source.text[line[-1].start : line[-1].end].rstrip() if line != code else ""
        closes = len(list(takewhile(lambda t: t.kind in _CLOSE, code)))
        if blank and not opened and not closes:
            yield _Line(0, "", "")
        indent = open_[-1][1] + INDENT if open_ else 0
        if closes:
            indent = open_[-closes][1]
        elif code and not (open_ and open_[-1][0] != "{"):
            first = code[0]
            indent += 0 if first.kind == "else" or first.start in firsts else INDENT
        for token in code:
            if token.kind in _OPEN:
                open_.append((token.kind, indent))
            elif token.kind in _CLOSE:
                open_.pop()
        words = [
            ("" if i == 0 or t.start in glued else " ") + source.text[t.start : t.end]
            for i, t in enumerate(code)
        ]
        yield _Line(indent, "".join(words), comment)
        blank, opened = False, bool(code) and code[-1].kind in _OPEN


def _without_needless(line: Sequence[Token]) -> list[Token]:
    """A line without the `;` that its own ends, or a closing brace, make needless."""
    kept: list[Token] = []
    for token in reversed(line):
        after = kept[-1].kind if kept else "_SEP"
        if token.kind != "_SEP" or (after not in ("_SEP", "}") and after not in _COMMENTS):
            kept.append(token)
    kept.reverse()
    return list(dropwhile(lambda t: t.kind == "_SEP", kept))


def _aligned(lines: Sequence[_Line]) -> Iterator[str]:
    """The text of lines, the comments behind adjacent ones in one column."""
    for trailing, group in groupby(lines, key=lambda line: bool(line.code and line.comment)):
        texts = [(" " * line.indent + line.code, line.comment) for line in group]
        width = max(len(code) for code, _ in texts) + 2 if trailing else 0
        for code, comment in texts:
            yield (code.ljust(width) + comment) if comment else code.rstrip()
