"""Formatting keeps the tree and every comment, and formatting twice is formatting once."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings

from ppl.lang.format import format_source
from ppl.lang.lexer import scan
from ppl.lang.parser import parse
from ppl.lang.syntax import same
from ppl.semantics.diagnostics import DiagnosticError, Source
from ppl.verify.programs import FEATURES, MACHINE_FEATURES, programs

from .sentences import sentence, spaced

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(
    path for folder in ("examples", "benchmarks", "lang") for path in (ROOT / folder).rglob("*.ppl")
)

MESSY = """\


## doc
import "x.ppl"   as y
type t  =
 A  (real,[int]) # an a
   | B# b


 | C
fn f [a,b](x:a?,y:(a,b)->c = - 1 , z = 3 , X:{a:real,b:[[b]]})->t{  # trailing

 let q =   a+
b*-c^-2

      }
model m( ) {
x~normal(mu = 0,sigma=1) by reparam ( baseline( 3 ) ) ;  y ~ f [ 1 : , : , a+1:b ,-1 ] ;

\t# comment
   # other
if x{ 1 } else   if y {  2;  }
 else {3}
match x { -1=>2,
 (a,{b,c:d} ) if a=>{a , b}
 -3 => return -x
 Cons ( a, b ) =>
   3
}
f(a,
  b, {
c
}, g(
3
)
)
f(g(
3,
4 +
5
))
let r = {a:1,
b:2}
{ mu }
return fn(x)=>-x.a .b.0
# end

}
# the very end"""

NEAT = """\
## doc
import "x.ppl" as y
type t =
  A(real, [int])  # an a
  | B             # b

  | C
fn f[a, b](x: a?, y: (a, b) -> c = -1, z=3, X: {a: real, b: [[b]]}) -> t {  # trailing
  let q = a +
    b * -c^-2
}
model m() {
  x ~ normal(mu=0, sigma=1) by reparam(baseline(3)); y ~ f[1:, :, a + 1:b, -1]

  # comment
  # other
  if x { 1 } else if y { 2 }
  else { 3 }
  match x { -1 => 2,
    (a, {b, c: d}) if a => {a, b}
    -3 => return -x
    Cons(a, b) =>
      3
  }
  f(a,
    b, {
      c
    }, g(
      3
    )
  )
  f(g(
    3,
    4 +
    5
  ))
  let r = {a: 1,
    b: 2}
  { mu }
  return fn (x) => -x.a.b.0
  # end
}
# the very end
"""


def comments(text: str) -> list[str]:
    tokens = scan(Source("test", text))
    return [text[t.start : t.end].rstrip() for t in tokens if t.kind in ("COMMENT", "DOC")]


def assert_formats(text: str) -> str:
    source = Source("test", text)
    out = format_source(source)
    again = Source("formatted", out)
    assert same(parse(source), parse(again)), out
    assert format_source(again) == out
    assert comments(out) == comments(text)
    docs = [[item.doc for item in parse(s).items] for s in (source, again)]
    assert docs[0] == docs[1]
    assert not re.search(r"[ \t]\n|\n\n\n|\A\n|\n\n\Z|[^\n]\Z", out)
    return out


def test_a_messy_program():
    assert assert_formats(MESSY) == NEAT


def test_the_corpus_is_formatted_but_for_aligned_columns(corpus):
    for source in corpus:
        out = assert_formats(source.text)
        squeezed = [re.sub(r" +", " ", text) for text in (source.text, out)]
        assert squeezed[0].replace(" ^ ", "^") == squeezed[1], source.name


@pytest.mark.parametrize("text", ["", "\n\n", "  # only a comment", "##\n", "\ufeff\r\n"])
def test_texts_without_code(text):
    assert_formats(text)


def test_line_ends_of_other_systems():
    assert format_source(Source("test", "fn f() {\r\n 1\r\n}\r\n")) == "fn f() {\n  1\n}\n"


def test_what_is_no_program_is_refused():
    with pytest.raises(DiagnosticError, match="E101"):
        format_source(Source("test", "fn f( {"))


def test_trailing_comments_of_adjacent_lines_are_aligned():
    text = "fn f() {\na # 1\nlong_name # 2\n\nb # 3\n}"
    assert assert_formats(text) == ("fn f() {\n  a          # 1\n  long_name  # 2\n\n  b  # 3\n}\n")


def test_sentences_of_the_grammar():
    rng = random.Random(2)
    count = 0
    for _ in range(300):
        text = spaced(rng, sentence(rng, budget=rng.choice([20, 60, 200])))
        try:
            parse(Source("test", text))
        except DiagnosticError:
            continue
        assert_formats(text)
        count += 1
    assert count > 100


def test_blanks_and_comments_anywhere(corpus):
    """Blank lines and comments where a line ends, blanks between tokens: nothing else changes."""
    rng = random.Random(3)
    for source in corpus * 4:
        out, at = [], 0
        for token in scan(source):
            out += [source.text[at : token.start], " " * rng.choice([0, 0, 0, 1, 3])]
            out.append(source.text[token.start : token.end])
            at = token.end
            if token.kind == "NEWLINE":
                out.append(rng.choice(["", "", "\n", "   ", "\t# note\n", "\n\n  # note  \n\n"]))
        assert_formats("".join(out))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_models_that_come_with_the_project(path):
    assert_formats(path.read_text())


@given(programs(features=FEATURES | MACHINE_FEATURES))
@settings(max_examples=25, deadline=None)
def test_generated_programs_without_their_layout(program):
    """As they are, and with the blanks between tokens that the lexer needs and no others."""
    neat = assert_formats(program.source)
    source = Source("test", program.source)
    out, end, last = [], 0, ""
    for token in scan(source):
        word = source.text[token.start : token.end]
        glue = (last + word)[max(0, len(last) - 1) :]
        between = source.text[end : token.start]
        out.append(" " if between and re.match(r"[\w.\"=<>~*/&|!+-]{2}", glue) else "")
        out.append(word)
        end, last = token.end, word
    squeezed = "".join(out)
    assert same(parse(source), parse(Source("squeezed", squeezed)))
    assert re.sub(r" +#", " #", assert_formats(squeezed)) == re.sub(r" +#", " #", neat)
