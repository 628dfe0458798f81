"""Texts give the trees they should: by equations between texts, and by the places of nodes."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from ppl.lang import syntax as s
from ppl.lang.parser import parse, parse_expression, parse_type
from ppl.lang.syntax import same
from ppl.semantics.diagnostics import DiagnosticError, Source

from .sentences import sentence, spaced


def block(text: str) -> s.Block:
    (item,) = parse(Source("test", f"model m() {{\n{text}\n}}")).items
    assert isinstance(item, s.Function) and isinstance(item.body, s.Block)
    return item.body


def statement(text: str) -> s.Statement:
    (only,) = block(text).statements
    return only


def test_every_example_parses(corpus):
    kinds = {type(n) for source in corpus for n in s.nodes(parse(source))}
    concrete = {
        cls
        for cls in vars(s).values()
        if isinstance(cls, type) and issubclass(cls, s.Node) and not cls.__subclasses__()
    }
    assert kinds == concrete, "the corpus has every kind of node"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a or b and not c == d", "a or (b and (not (c == d)))"),
        ("a - b - c", "(a - b) - c"),
        ("a + b * c @ d", "a + ((b * c) @ d)"),
        ("a // b % c / d", "((a // b) % c) / d"),
        ("-a ^ b", "-(a ^ b)"),
        ("a ^ -b ^ c", "a ^ (-(b ^ c))"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("- - a * b", "(-(-a)) * b"),
        ("a - -b", "a - (-b)"),
        ("f(x)[0].y ^ 2", "(((f(x))[0]).y) ^ 2"),
        ("a + b as pos < c", "((a + b) as pos) < c"),
        ("a as real as pos", "(a as real) as pos"),
        ("not a < b or c", "(not (a < b)) or c"),
        ("fn (x) => x + fn_(x)", "fn (x) => (x + fn_(x))"),
        ("fn (x) => fn (y) => x or y", "fn (x) => (fn (y) => (x or y))"),
        ("t.0.1", "(t.0).1"),
        ("[a, b,]", "[a, b]"),
        ("f(a, b, k=c,)", "f(a, b, k=c)"),
        ("(a, b,)", "(a, b)"),
        ("{a, b: c, d}", "{a: a, b: c, d: d,}"),
        ("{a,}", "{a: a}"),
        ("x[a:b, :, c:, :d, e]", "x[(a):(b), :, (c):, :(d), e]"),
        ("if a { b } else if c { d }", "if a { b } else if (c) { d }"),
        ("if {a: b}.a { c }", "if ({a: b}).a { c }"),
        ("match a { b => c, d => e }", "match a {\n b => c\n d => e\n}"),
        ("match a { b => return c }", "match a { b => { return c } }"),
        ("1_000", "1000"),
        ("µ", "μ"),
        ('"\\u{61}\\t\\\\"', '"a\t\\\\"'),
        ("(\na\n+ b\n)", "a + b"),
        ("a +\n\n# note\nb", "a + b"),
        ("[fn (x) {\nlet y = x\ny\n}]", "[fn (x) { let y = x; y }]"),
        ("{\n\na\n\n\nb;\n}", "{ a; b }"),
    ],
)
def test_equal_texts(text, meant):
    assert same(parse_expression(text), parse_expression(meant))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("a - b - c", "a - (b - c)"),
        ("{ a }", "{a,}"),
        ("(a)", "(a, a)"),
        ("f((a, b))", "f(a, b)"),
        ("1", "1.0"),
        ("1", "true"),
        ("x[a:b]", "x[a, b]"),
        ("{ a\n(b) }", "{ a(b) }"),
        ("{ a\n[b] }", "{ a[b] }"),
    ],
)
def test_different_texts(text, other):
    assert not same(parse_expression(text), parse_expression(other))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a -> b -> c", "a -> (b -> c)"),
        ("(a) -> b", "a -> b"),
        ("a? -> [b?]", "(a?) -> [(b?)]"),
        ("((a, b)) -> c", "((a, b,)) -> c"),
        ("(a, b)?", "((a, b))?"),
        ("dist[a -> b]", "dist[(a -> b)]"),
    ],
)
def test_equal_types(text, meant):
    assert same(parse_type(text), parse_type(meant))


def test_a_list_of_types_is_arguments_and_in_brackets_a_tuple():
    two, pair, none, unit = map(
        parse_type, ["(a, b) -> c", "((a, b)) -> c", "() -> c", "(()) -> c"]
    )
    arities = [len(t.params) for t in (two, pair, none, unit) if isinstance(t, s.TypeFun)]
    assert arities == [2, 1, 0, 1]
    assert isinstance(pair, s.TypeFun) and isinstance(pair.params[0], s.TypeTuple)
    assert not same(two, pair)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("1_0.2_5e-1", 1.025),
        ("1e3", 1000.0),
        ("2.50", 2.5),
        ("true", True),
        ('"a\\n"', "a\n"),
        ("()", ()),
    ],
)
def test_literals(text, value):
    lit = parse_expression(text)
    expected = None if value == () else value
    assert isinstance(lit, s.Lit) and lit.value == expected and type(lit.value) is type(expected)


@pytest.mark.parametrize("name", ["a", "_", "(a, _)", "{a, b}", "{a: (b, c)}", "Cons(a, Nil)"])
def test_the_left_of_a_draw_is_the_pattern_of_a_let(name):
    draw, let = statement(f"{name} ~ d"), statement(f"let {name} = d")
    assert isinstance(draw, s.Draw) and isinstance(let, s.Let)
    assert same(draw.pattern, let.pattern)


def test_a_block_of_one_name_is_a_record_left_of_a_draw():
    draw = statement("{ a } ~ d")
    assert isinstance(draw, s.Draw) and isinstance(draw.pattern, s.PRecord)


def test_capitalised_names_are_constructors_in_patterns_but_parameters_bind():
    let = statement("let (X, y) = d")
    assert isinstance(let, s.Let) and isinstance(let.pattern, s.PTuple)
    assert [type(p) for p in let.pattern.items] == [s.PCons, s.PName]
    function = parse_expression("fn (X, (Y, z)) => 1")
    assert isinstance(function, s.Lambda)
    whole, part = (p.pattern for p in function.params)
    assert isinstance(whole, s.PName) and whole.name == "X"
    assert isinstance(part, s.PTuple) and isinstance(part.items[0], s.PCons)


def test_a_local_function_is_a_let():
    written = statement("fn f(x, k = 1) -> real { x }")
    assert same(written, statement("let f = fn (x, k = 1) -> real { x }"))


def test_words_of_the_language_are_names_after_a_dot():
    assert same(parse_expression("m.do(x=1).for.0"), parse_expression("(((m.do)(x=1)).for).0"))
    assert isinstance(parse_expression("a.match"), s.Field)


def test_max_is_a_function_and_a_limit():
    loop = parse_expression("iterate x = max(a, b) until max > c max max(1, 2) { x }")
    assert isinstance(loop, s.Iterate) and isinstance(loop.limit, s.Call)


def test_lines_continue_before_and_after_what_needs_more():
    text = "let a = b\n* c\nand d\nlet e = f(\n1\n)\nx ~\nd\nby s\nif c { 1 }\nelse { 2 }"
    assert len(block(text).statements) == 4


def test_documentation_comments():
    text = (
        "## One,\n##   two.\nmodel a() {}\n## lost\n\nfn b() {}\n# no\nfn c() { ## no\n 1 }\n"
        "## d\ntype d = D\n"
    )
    docs = [item.doc for item in parse(Source("test", text)).items]
    assert docs == ["One,\ntwo.", None, None, "d"]


def test_spans_are_the_text_of_their_nodes(corpus):
    """The text of a node, read alone, is that node; and nodes lie within the one above."""
    count = 0
    for source in corpus:
        for node in s.nodes(parse(source)):
            for child in s.children(node):
                assert node.span.start <= child.span.start < child.span.end <= node.span.end
            # `fn f(x) { … }` and a bare statement of an arm are no expressions
            begins = {s.Lambda: "fn (", s.Block: "{"}.get(type(node), "")
            if isinstance(node, s.Expr) and node.span.text.startswith(begins):
                assert same(parse_expression(f"({node.span.text})"), node), node.span.text
                count += 1
            if isinstance(node, s.TypeExpr) and not isinstance(node, s.TypeTuple):
                assert same(parse_type(node.span.text), node), node.span.text
            assert node.span.text == node.span.text.strip() or isinstance(node, s.Module)
    assert count > 300


def test_name_spans():
    (item,) = parse(Source("test", "fn  gaussian () {}")).items
    assert item.name_span.text == "gaussian" and item.span.text == "fn  gaussian () {}"


def test_every_sentence_of_the_grammar_is_accepted():
    """600 random derivations. What the builder refuses besides are its own codes."""
    rng = random.Random(1)
    accepted, refused = 0, {}
    for i in range(600):
        text = spaced(rng, sentence(rng, budget=rng.choice([20, 60, 200])))
        try:
            parse(Source(f"sentence {i}", text))
            accepted += 1
        except DiagnosticError as error:
            codes = {d.code for d in error.diagnostics}
            refused.update(dict.fromkeys(codes, text))
            assert codes <= {"E108", "E109", "E110", "E111", "E112", "E113", "E114"}, text
    assert accepted > 200
    assert len(refused) >= 3


def test_statements_may_be_many():
    assert len(block("\n".join(f"x{i} ~ normal({i}, 1)" for i in range(5_000))).statements) == 5_000


def test_parsing_imports_neither_lark_nor_jax_and_is_quick():
    """From nothing to a tree: 0.15 s of processor time on an idle machine, 0.4 s on a busy one."""
    program = """
import sys, time
from ppl.lang.parser import parse
from ppl.semantics.diagnostics import Source
parse(Source("test", "model m() { x ~ normal(0, 1) }"))
print(time.process_time(), *({"jax", "numpy", "lark"} & sys.modules.keys()))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    seconds, *heavy = ran.stdout.split()
    assert not heavy
    assert float(seconds) < 0.4
