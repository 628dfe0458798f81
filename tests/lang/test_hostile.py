"""Files made to hurt: each is refused with its code, or read, in bounded time and depth."""

from __future__ import annotations

import sys
import time

import pytest

from ppl.lang.format import format_source
from ppl.lang.lexer import MAX_CHARACTERS
from ppl.lang.parser import MAX_ERRORS, parse
from ppl.semantics.diagnostics import DiagnosticError, Source


def f(body: str) -> str:
    return f"fn f(x) {{ {body} }}"


N = 8_000

#: name -> (text, its code; None if it is a program)
FILES = {
    "too many characters": (" " * (MAX_CHARACTERS + 1), "E005"),
    "as many as allowed": ("\n" * MAX_CHARACTERS, None),
    "open brackets": (f("(" * N), "E004"),
    "open braces": (f("{" * N), "E004"),
    "brackets as deep as allowed": (f("(" * 199 + "x" + ")" * 199), None),
    "closing brackets": (")" * N, "E102"),
    "sums": (f("+".join("x" * N)), "E004"),
    "powers": (f("^".join("x" * N)), "E004"),
    "negations": (f("-" * N + "x"), "E004"),
    "nots": (f("not " * N + "x"), "E004"),
    "fields": (f("x" + ".a" * N), "E004"),
    "calls": (f("x" + "(x)" * N), "E004"),
    "functions": (f("fn (x) => " * N + "x"), "E004"),
    "else ifs": (f("if x {} else " * (N // 2) + "{}"), "E004"),
    "casts": (f("x" + " as pos" * N), "E004"),
    "arrows": (f"fn f(x: {'a -> ' * N}a) {{}}", "E004"),
    "options": (f"fn f(x: a{'?' * N}) {{}}", "E004"),
    "a long array": (f(f"[{'x,' * N}]"), None),
    "a long call": (f(f"g({'x,' * N})"), None),
    "a long tuple pattern": (f(f"({'x,' * N}) ~ d"), None),
    "many arms": (f(f"match x {{ {'1 => 2,' * N} }}"), None),
    "many statements": (f("let a = 1;" * 5_000), None),
    "many parameters": (f"fn f({'x,' * N}) {{}}", None),
    "many constructors": (f"type t = {'|'.join(['A'] * N)}", None),
    "many comments": ("# a\n" * N, None),
    "many separators": (f(";" * N), "E101"),
    "many errors": ("fn f\n" * N, "E101"),
    "many foreign operators": (f("** " * N), "E103"),
    "a long integer": (f("9" * N), "E003"),
    "a long fraction": (f("0." + "1" * N), "E003"),
    "a long exponent": (f("1e" + "9" * 900), "E003"),
    "integers that Python refuses": (f("1" * 4_301), "E003"),
    "other digits": (f("٣"), "E001"),
    "digits of other scripts within": (f("1٣"), "E003"),
    "an open text": (f('"' + "\\a" * N), "E002"),
    "bad escapes": (f('"' + "\\u{110000}" * 100 + '"'), "E006"),
    "quotes": ('"' * N, "E101"),
    "a long name": (f("x" * N), None),
    "half a character": (f('"\ud800"'), "E001"),
    "zero": ("\0", "E001"),
    "text read from right to left": (f("\u202ea"), "E001"),
    "a combining character": (f("e\u0301"), "E001"),
}


@pytest.mark.parametrize("name", FILES)
def test_hostile_files(name):
    """Each takes under a second on an idle machine; 20 s is beyond any load, and quadratic time."""
    text, code = FILES[name]
    limit = sys.getrecursionlimit()
    source, started = Source("hostile.ppl", text), time.process_time()
    if code is None:
        parse(source)
    else:
        with pytest.raises(DiagnosticError) as error:
            parse(source)
        found = error.value.diagnostics
        assert code in {d.code for d in found} and len(found) <= MAX_ERRORS
        assert len(str(error.value)) < 20_000
    assert time.process_time() - started < 20
    assert sys.getrecursionlimit() == limit


def test_time_is_linear():
    """Four times the text takes less than ten times as long (sixteen times would be quadratic)."""

    def seconds(n: int) -> float:
        source = Source("long.ppl", f(f"[{'(a, b + 1),' * n}]"))
        times = []
        for _ in range(3):
            started = time.process_time()
            parse(source)
            times.append(time.process_time() - started)
        return min(times)

    assert seconds(2_000) < 10 * seconds(500)


def test_the_formatter_too():
    text = f(f"[{'(a,b+1),' * 5_000}]")
    assert format_source(Source("long.ppl", text)).count("b + 1") == 5_000


def test_deep_patterns_and_types():
    deep = "(a, " * 190 + "b" + ")" * 190
    parse(Source("deep.ppl", f"fn f(p: {deep}) {{ {deep} ~ d; let {deep} = x }}"))
