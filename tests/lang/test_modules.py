"""Imports: names told apart by module, the library by name, files only from the folder given."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppl.lang import modules, stdlib
from ppl.lang.compile import compile_source
from ppl.semantics import ir_parse
from ppl.semantics.diagnostics import DiagnosticError, Source, Span, fail
from ppl.semantics.ir_print import show
from ppl.semantics.ir_verify import verify


class Texts:
    """A folder of texts."""

    def __init__(self, files: dict[str, str], main: str = "main.ppl"):
        self.files, self.main = files, main
        self.reads: list[str] = []

    def read(self, path: str, span: Span) -> Source:
        self.reads.append(path)
        if path not in self.files:
            raise fail("E090", f"there is no file {path}", span=span)
        return Source(path, self.files[path])


def compiled(text: str, **files: str):
    texts = Texts({k.replace("__", "/") + ".ppl": v for k, v in files.items()})
    return compile_source(Source("main.ppl", text), texts)


def problems(text: str, **files: str):
    with pytest.raises(DiagnosticError) as error:
        compiled(text, **files)
    return error.value.diagnostics


SHAPES = """
## A shape of the plane.
type shape = Circle(pos) | Square(pos)
fn area(s) { match s { Circle(r) => 3 * r^2, Square(a) => square(a) } }
fn square(a) { a * a }
fn jitter(x) { e ~ normal(0, 1); return x + e }
model noise(y: [real]) { s ~ half_normal(1); observe y ~ normal(0, s); return s }
"""

USES = """
import "shapes.ppl" as shapes
type shape = Circle
fn square(a) { a + 1 }
fn larger(s: shapes.shape) -> shapes.shape {
  match s { shapes.Circle(r) => shapes.Circle(r + 1), shapes.Square(_) => s }
}
model m(y: [real]) {
  shapes.jitter(2)
  a ~ shapes.jitter(1)
  s ~ shapes.noise(y)
  let f = shapes.area
  return (a, s, f(larger(shapes.Circle(2))), shapes.area(shapes.Square(3)), square(4), Circle)
}
"""


def test_names_of_modules_do_not_meet_the_programs():
    program = compiled(USES, shapes=SHAPES).program("m")
    assert str(program.entry.type.result) == ("measure[(real, pos, pos, pos, nat, shape)]")
    names = [f.name for f in program.functions]
    assert sorted(names) == sorted(
        ["m", "larger", "square"]
        + [f"shapes.{n}" for n in ("area", "square", "jitter", "jitter#2", "noise")]
    )
    verify(program)
    assert show(ir_parse.read(show(program))) == show(program)


def test_values_are_those_of_the_modules():
    from ppl.semantics.machine import Machine, MachineKey

    program = compiled(USES, shapes=SHAPES).program("m")
    run = Machine(program).run({"y": [1.0, 2.0, 4.0]}, MachineKey(1))
    a, s, larger, nine, five, circle = run.result
    assert (larger, nine, five, circle.name) == (27.0, 9.0, 5, "Circle")
    # the step of a run without a binder is the function's own name, whatever module it is from
    assert list(run.sites) == ["jitter/e", "a/e", "s/s"]


def test_the_only_constructor_of_a_type_is_taken_apart_wherever_names_are_bound():
    from ppl.semantics.machine import Machine, MachineKey

    program = compiled(
        """
import "pairs.ppl" as p
type unit_ = Unit
fn swap(p.Pair(a, b)) { p.Pair(b, a) }
model m() {
  p.Pair(x, (y, _)) ~ p.drawn()
  let p.Pair(u, Unit) = p.Pair(x, Unit)
  let z = [a + b for p.Pair(a, b) in [p.Pair(1, 2), p.Pair(3, 4)]]
  return (x, y, u, z, swap(p.Pair(1, "a")))
}
""",
        pairs="""
type pair[a, b] = Pair(a, b)
fn drawn() { a ~ normal(0, 1); return Pair(a, (2 * a, 0)) }
""",
    ).program("m")
    verify(program)
    run = Machine(program).run({}, MachineKey(1))
    x, y, u, z, swapped = run.result
    assert y == 2 * x and u == x and z == [3, 7] and swapped.args == ("a", 1)
    assert list(run.kept) == ["drawn/a", "x", "y"]


def test_a_module_is_one_whoever_imports_it():
    c = compiled(
        """
import "parts/left.ppl" as left
import "parts/deep/right.ppl" as right
model m() { return right.read(left.made()) }
""",
        parts__left='import "common.ppl" as c\nfn made() { c.Pair(1, 2) }',
        parts__deep__right='import "../common.ppl" as other\nfn read(p) { other.first(p) }',
        parts__common="type pair = Pair(nat, nat)\nfn first(p) { match p { Pair(a, _) => a } }",
    )
    assert {"common.first", "left.made", "right.read"} <= set(c.program("m").by_name)


def test_files_of_one_name_are_told_apart_by_their_folders():
    c = compiled(
        'import "a/x.ppl" as one\nimport "b/x.ppl" as two\nmodel m() { return one.f() + two.f() }',
        a__x="fn f() { 1 }",
        b__x="fn f() { 2 }",
    )
    assert {"a.x.f", "b.x.f"} <= set(c.program("m").by_name)


def test_the_library_is_told_apart_from_a_file_of_its_name():
    c = compiled(
        'import lists\nimport "lists.ppl" as mine\n'
        "model m(xs: [real]) { return (mine.length(xs), lists.length(lists.from_array(xs))) }",
        lists="fn length(xs) { 7 }",
    )
    assert {"lists_2.length", "lists.length"} <= set(c.program("m").by_name)


def test_locals_hide_modules():
    c = compiled(
        'import "shapes.ppl" as shapes\nfn f(shapes) { shapes.area }\n'
        "model m() { return f({area: 3,}) }",
        shapes=SHAPES,
    )
    assert str(c.program("m").entry.type.result) == "measure[nat]"


def test_only_the_programs_models_are_models():
    assert compiled(USES, shapes=SHAPES).models == ("m",)


def test_diagnostics_are_in_the_file_they_are_about():
    (d,) = problems('import "a.ppl" as a\nmodel m() { return a.f(1) }', a="fn f(x) {\n  x + yy\n}")
    assert d.code == "E201" and d.span.source.name == "a.ppl" and d.span.text == "yy"
    (d,) = problems('import "a.ppl" as a\nmodel m() { return a.f(1) }', a="fn f(x) {\n  x + \n}")
    assert d.code == "E101" and d.span.source.name == "a.ppl"
    (d,) = problems(
        'import "a.ppl" as a\nmodel m() { return a.f(true) }', a="fn f(x) {\n  x + 1\n}"
    )
    assert d.code == "E303" and d.span.source.name == "main.ppl"
    assert d.notes[0].span.source.name == "a.ppl"


def test_all_files_with_errors_are_told_of():
    found = problems(
        'import "a.ppl" as a\nimport "b.ppl" as b\nmodel m() { return a.f(b.g(1)) }',
        a="fn f(x { x }",
        b="fn g(x) { x +* 2 }",
    )
    assert [d.span.source.name for d in found] == ["a.ppl", "b.ppl"]


#: text, other files, what is said
ERRORS = {
    "E090": ('import "b.ppl" as b', {}, "there is no file b.ppl"),
    "E091 out": ('import "../b.ppl" as b', {}, "leads out of the program's folder"),
    "E091 deep": ('import "a/../../b.ppl" as b', {}, "leads out of the program's folder"),
    "E091 absolute": ('import "/etc/b.ppl" as b', {}, "is no path of a model file"),
    "E091 device": ('import "/dev/zero" as b', {}, "is no path of a model file"),
    "E091 home": ('import "~/b.ppl" as b', {}, "is no path of a model file"),
    "E091 backslash": (r'import "..\\b.ppl" as b', {}, "is no path of a model file"),
    "E091 drive": ('import "C:/b.ppl" as b', {}, "is no path of a model file"),
    "E091 zero": (r'import "a\u{0}.ppl" as b', {}, "is no path of a model file"),
    "E091 suffix": ('import "b.py" as b', {}, "is no path of a model file"),
    "E091 empty": ('import "" as b', {}, "is no path of a model file"),
    "E092 itself": ('import "main.ppl" as b', {}, "main.ppl → main.ppl"),
    "E092 three": (
        'import "a.ppl" as a',
        {"a": 'import "b.ppl" as b', "b": 'import "./a.ppl" as a'},
        "`a.ppl` imports itself: a.ppl → b.ppl → a.ppl",
    ),
    "E095": ("import list", {}, "the standard library has no module `list`"),
    "E115": ('import "b.ppl" as f\nfn f() { 1 }', {"b": ""}, "is the name of something else"),
    "E115 twice": ("import lists\nimport lists", {}, "is the name of something else"),
    "E116": ("import lists\nfn f(x) { lists.size(x) }", {}, "module `lists` has no function"),
    "E116 type": ("import lists\nfn f(x: lists.lst) { x }", {}, "module `lists` has no type"),
    "E116 pattern": (
        "import lists\nfn f(x) { match x { lists.Con(_, _) => 1, _ => 2 } }",
        {},
        "has no constructor `Con`",
    ),
    "E117": ("import lists\nfn f() { lists }", {}, "is a module, which is no value"),
    "E118": ("fn f(x: lists.list[real]) { x }", {}, "there is no module `lists` here"),
    "E118 pattern": ("fn f(x) { match x { s.A => 1, _ => 2 } }", {}, "there is no module `s`"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_each_mistake_has_one_diagnostic(case: str):
    text, files, says = ERRORS[case]
    (d,) = problems(text, **files)
    assert d.code == case.partition(" ")[0] and says in d.message
    assert d.span is not None and (d.hint or d.code == "E090")
    assert len(d.message) < 300


def test_a_cycle_shows_the_imports_that_make_it():
    (d,) = problems(*ERRORS["E092 three"][:1], **ERRORS["E092 three"][1])
    assert [(n.message, n.span.source.name) for n in d.notes] == [
        ("`a.ppl` imports `b.ppl`", "a.ppl"),
        ("`b.ppl` imports `a.ppl`", "b.ppl"),
    ]


def test_a_text_imports_the_library_and_no_files():
    compile_source(Source("<text>", "import lists\nmodel m(x: [real]) { return lists.Nil }"))
    with pytest.raises(DiagnosticError) as error:
        compile_source(Source("<text>", 'import "a.ppl" as a'))
    assert [d.code for d in error.value.diagnostics] == ["E094"]


def test_imports_are_bounded_in_number_and_size():
    many = "\n".join(f'import "a{i}.ppl" as a{i}' for i in range(500))
    texts = Texts({f"a{i}.ppl": "" for i in range(500)})
    with pytest.raises(DiagnosticError) as error:
        compile_source(Source("main.ppl", many), texts)
    assert {d.code for d in error.value.diagnostics} == {"E093"}
    assert len(texts.reads) == modules.MAX_FILES
    texts = Texts({f"a{i}.ppl": "#" * 200_000 for i in range(500)})
    with pytest.raises(DiagnosticError) as error:
        compile_source(Source("main.ppl", many), texts)
    assert {d.code for d in error.value.diagnostics} == {"E093"}
    assert len(texts.reads) <= modules.MAX_FILES


def test_a_bomb_of_imports_is_read_once_a_file():
    """Each file imports the next twice: 2^60 paths through 60 files."""
    files = {
        f"a{i}.ppl": f'import "a{i + 1}.ppl" as x\nimport "a{i + 1}.ppl" as y' for i in range(60)
    }
    texts = Texts(files | {"a60.ppl": "fn f() { 1 }"})
    compile_source(Source("main.ppl", 'import "a0.ppl" as a'), texts)
    assert len(texts.reads) == len(set(texts.reads)) == 61


def test_a_long_chain_is_refused_before_it_is_deep():
    texts = Texts({f"a{i}.ppl": f'import "a{i + 1}.ppl" as x' for i in range(5_000)})
    with pytest.raises(DiagnosticError) as error:
        compile_source(Source("main.ppl", 'import "a0.ppl" as a'), texts)
    assert [d.code for d in error.value.diagnostics] == ["E093"]


def test_the_prelude_is_read_only_if_it_is_needed():
    stdlib.tree.cache_clear()
    text = "fn f(x: real, n: nat) { x + n }\nmodel m(y: [real]) { a ~ normal(0, 1); return f(a, len(y)) }"
    assert compile_source(Source("<text>", text)).models == ("m",)
    assert stdlib.tree.cache_info().currsize == 0
    compile_source(Source("<text>", "model m(y: [real]) { return map(exp, y) }"))
    assert stdlib.tree.cache_info().currsize == 1


def test_the_modules_of_the_library_are_those_in_its_folder(root: Path):
    assert sorted(stdlib.MODULES) == sorted(p.stem for p in (root / "lang/library").glob("*.ppl"))


@pytest.mark.parametrize("name", stdlib.MODULES)
def test_the_library_is_documented_formatted_and_without_warnings(name: str, root: Path):
    from ppl.lang import syntax as s
    from ppl.lang.check import check
    from ppl.lang.format import format_source

    path = root / f"lang/library/{name}.ppl"
    source = Source(path.name, path.read_text("utf-8"))
    assert format_source(source) == source.text
    assert check(stdlib.tree(name)).diagnostics == ()
    for item in stdlib.tree(name).items:
        assert item.doc or not isinstance(item, s.TypeDecl), item.name
