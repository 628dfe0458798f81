"""A session at a prompt: declarations, values and draws that follow one another.

A session is a program that grows: its declarations, and one function for each *stage* of what was
bound at the prompt. A name that is bound again begins a new stage, which takes all names so far as
its arguments, so that paths stay unique. Every input runs the program anew; a draw depends on its
path alone, and so those made before come out as they were. Nothing is kept but texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ppl.lang import syntax as s
from ppl.lang.check.effects import names_of
from ppl.lang.compile import Compiled, compile_source
from ppl.lang.lexer import scan
from ppl.lang.parser import parse, parse_expression
from ppl.lang.tokens import ITEMS
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Source, Span
from ppl.semantics.machine import Execution, Limits, Machine, MachineKey
from ppl.semantics.machine.values import ARGS, FAMILY
from ppl.sources import Folder, read_source

HELP = """\
type, fn, model, import …   declare          x ~ e      draw, and bind the draw
e                           value and type   let x = e  bind a value
:type e    the type of an expression         :load FILE take a file's declarations
:ir [m]    the intermediate program          :infer m(y=…) importance(particles=1_000)
:help      this                              :quit      leave (also Ctrl-D)
An input goes on while brackets are open; Ctrl-C drops it."""

_MAIN, _STAGE = "session__", "stage{}__"
#: options of a finite distribution that are shown
SHOWN = 12


@dataclass(frozen=True)
class Piece:
    """Text of an input: part of `source`, from `start` on."""

    source: Source
    start: int
    text: str

    @classmethod
    def of(cls, node: s.Node) -> Piece:
        return cls(node.span.source, node.span.start, node.span.text)


@dataclass(frozen=True)
class Session:
    """declared: items by their names. stages: the statements of each, with the names they bind.
    folder: what is imported from. inputs: how many there were, by which they are called `<3>`."""

    declared: Mapping[str, Piece]
    stages: tuple[tuple[tuple[tuple[str, ...], Piece], ...], ...] = ((),)
    folder: Path = Path(".")
    seed: int = 0
    inputs: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """What is bound, in the order in which it first was."""
        return tuple(dict.fromkeys(n for stage in self.stages for names, _ in stage for n in names))

    def program(self, end: str | Piece) -> tuple[str, list[tuple[int, Piece]]]:
        """The text of the program whose last stage ends in `end`, and where inputs stand in it."""
        text, places = "", []

        def put(part: str | Piece) -> None:
            nonlocal text
            if isinstance(part, Piece):
                places.append((len(text), part))
                part = part.text
            text += part

        for piece in self.declared.values():
            put(piece)
            put("\n")
        known: list[str] = []
        for i, stage in enumerate(self.stages):
            put(f"fn {_STAGE.format(i)}({', '.join(known)}) {{\n")
            for names, piece in stage:
                put(piece)
                put("\n")
                known += [n for n in names if n not in known]
            if i + 1 < len(self.stages):
                put(f"{_STAGE.format(i + 1)}({', '.join(known)})")
            else:
                put("return ")
                put(end)
            put("\n}\n")
        put(f"model {_MAIN}() {{ {_STAGE.format(0)}() }}\n")
        return text, places

    def compiled(self, end: str | Piece = "()") -> Compiled:
        """The program. Raises DiagnosticError, with places in the inputs."""
        text, places = self.program(end)
        try:
            return compile_source(Source("<session>", text), Folder(self.folder))
        except DiagnosticError as error:
            raise DiagnosticError(*(_placed(d, places) for d in error.diagnostics)) from None

    def run(self, end: str | Piece) -> tuple[Execution, T.Type]:
        """The value that `end` has in the session, and its type."""
        compiled = self.compiled(end)
        machine = Machine(compiled.program(_MAIN)).within(Limits())
        try:
            return machine.run({}, MachineKey(self.seed), record=True), machine.type
        except DiagnosticError as error:
            places = self.program(end)[1]
            raise DiagnosticError(*(_placed(d, places) for d in error.diagnostics)) from None

    def bound(self, names: tuple[str, ...], piece: Piece) -> Session:
        """With one more statement."""
        *before, last = self.stages
        taken = {n for held, _ in last for n in held}
        if taken & set(names):
            return replace(self, stages=(*before, last, ((names, piece),)))
        return replace(self, stages=(*before, (*last, (names, piece))))

    def declaring(self, items: Iterable[tuple[str, Piece]]) -> Session:
        """With declarations, which take the place of those of their names."""
        return replace(self, declared={**self.declared, **dict(items)})


def begin(*, seed: int = 0) -> Session:
    """A session in which nothing is declared."""
    return Session({}, seed=seed)


# ------------------------------------------------------------------------------------------- inputs


def complete(text: str) -> bool:
    """Whether an input is whole: no bracket is open, as the lexer sees brackets."""
    try:
        tokens = scan(Source("<input>", text))
    except DiagnosticError:
        return True  # its errors are reported
    opened = sum((t.kind in ("(", "[", "{")) - (t.kind in (")", "]", "}")) for t in tokens)
    return opened <= 0


def step(session: Session, text: str) -> tuple[Session, str]:
    """The session after an input, and what it answers.

    Raises:
        DiagnosticError: what is wrong with the input; the session is as it was.
    """
    session = replace(session, inputs=session.inputs + 1)
    command = re.match(r"\s*:(\w*)\s*(.*)", text, re.DOTALL)
    if command is not None:
        return _command(session, command[1], command[2].strip())
    source = Source(f"<{session.inputs}>", text)
    tokens = [t for t in scan(source) if t.kind not in ("NEWLINE", "COMMENT", "DOC", "_SEP")]
    if not tokens:
        return session, ""
    first, *rest = tokens
    if first.kind in ITEMS and not (first.kind == "fn" and rest and rest[0].kind in ("(", "[")):
        items = _items(source)
        after = session.declaring(items)
        after.compiled()
        return after, "\n".join(f"declared {name}" for name, _ in items)
    return _statements(session, source)


def _items(source: Source) -> list[tuple[str, Piece]]:
    return [
        (f"import {i.span.text}" if isinstance(i, s.Import) else i.name, Piece.of(i))
        for i in parse(source).items
    ]


def _statements(session: Session, source: Source) -> tuple[Session, str]:
    inside = Source(source.name, "{" + source.text + "\n}")
    try:
        tree = parse_expression(inside)
    except DiagnosticError as error:
        raise DiagnosticError(*(_shifted(d, inside, source) for d in error.diagnostics)) from None
    if not isinstance(tree, s.Block):  # `a: 1`, a record only because of our braces
        tree = s.Block(tree.span, (s.ExprStmt(tree.span, parse_expression(source)),))
    answers = []
    for st in tree.statements:
        piece = Piece(source, st.span.start - 1, st.span.text)
        match st:
            case s.Draw(pattern=pattern) | s.Let(pattern=pattern):
                names = tuple(p.name for p in names_of(pattern))
                session = session.bound(names, piece)
                answers += _bound(session, names)
            case s.ExprStmt():
                answers.append(_value(*session.run(piece)))
            case _:
                word = piece.text.split()[0]
                answers.append(f"`{word}` belongs in a model, which `:infer` runs on data")
    return session, "\n".join(answers)


def _bound(session: Session, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield f"{name} = {_value(*session.run(name))}"
    if not names:
        session.run("()")


# ----------------------------------------------------------------------------------------- commands


def _command(session: Session, name: str, rest: str) -> tuple[Session, str]:
    match name:
        case "help":
            return session, HELP
        case "type" if rest:
            source = Source(f"<{session.inputs}>", rest)
            compiled = session.compiled(Piece(source, 0, rest))
            return session, _type(Machine(compiled.program(_MAIN)).type)
        case "load" if rest:
            source = read_source(rest)
            items = _items(source)
            after = replace(session.declaring(items), folder=Path(rest).parent)
            after.compiled()
            return after, "\n".join(f"declared {item}" for item, _ in items)
        case "ir":
            from ppl.semantics.ir_print import show

            compiled = session.compiled()
            if (rest or _MAIN) not in compiled.models:
                return session, f"there is no model `{rest}`"
            return session, show(compiled.program(rest or _MAIN)).rstrip("\n")
        case "infer" if rest:
            return session, _infer(session, rest)
    return session, f"there is no command `:{name}` of this form\n{HELP}"


def _infer(session: Session, text: str) -> str:
    from ppl.infer import infer
    from ppl.methods import method_named
    from ppl.model import Models

    source = Source(f"<{session.inputs}>", text)
    depth, end = 0, len(text)
    for t in scan(source):  # the call ends with its last bracket
        depth += (t.kind == "(") - (t.kind == ")")
        if t.kind == ")" and depth == 0:
            end = t.end
            break
    call = parse_expression(Source(source.name, text[:end]))
    models = Models(session.compiled())
    name, args = _call(session, call)
    model = models[name]
    given = dict(zip((p.name for p in model.parameters), args.pop("", ()), strict=False))
    rest = Source(source.name, text[end:].strip() or "importance")
    method, settings = _call(session, parse_expression(rest))
    settings.pop("", None)
    posterior = infer(
        model(**given, **args), method_named(method, **settings), seed=session.seed, progress=False
    )
    return str(posterior.summary())


def _call(session: Session, e: s.Expr) -> tuple[str, dict[str, Any]]:
    """A name and its arguments, which are expressions of the session; those without names at ""."""

    def value(x: s.Expr) -> Any:
        return session.run(Piece.of(x))[0].result

    if not isinstance(e, s.Call):
        return e.span.text, {}
    named = {k: value(x) for k, x in e.named}
    return e.fn.span.text, {**named, **({"": [value(x) for x in e.args]} if e.args else {})}


# ------------------------------------------------------------------------------------------ answers


def _value(e: Execution, t: T.Type) -> str:
    if not e.alive:
        return f"no value, since its weight is zero : {_type(t)}"
    return f"{_shown(e, t)} : {_type(t)}"


def _shown(e: Execution, t: T.Type) -> str:
    value = e.value
    if isinstance(t, T.Dist):
        try:
            options = value[FAMILY].support(*value[ARGS])
        except DiagnosticError:
            return f"{value[FAMILY].name}(…)"
        most = sorted(options, key=lambda o: -o[1])[:SHOWN]
        shown = ", ".join(f"{_plain(e.python(v, t.item))}: {float(p):.4g}" for v, p in most)
        return f"{{{shown}{', …' if len(options) > SHOWN else ''}}}"
    if isinstance(t, T.Measure):
        return "a measure (`x ~ …` draws from it)"
    if isinstance(t, T.Fun):
        return "a function"
    return _plain(e.result)


def _plain(x: Any) -> str:
    match x:
        case None:
            return "()"
        case bool():
            return "true" if x else "false"
        case float():
            return f"{x:.6g}"
        case str():
            return f'"{x}"'
        case list():
            return f"[{', '.join(map(_plain, x))}]"
        case tuple():
            return f"({', '.join(map(_plain, x))})"
        case dict():
            return f"{{{', '.join(f'{k}: {_plain(v)}' for k, v in x.items())}}}"
    return str(x)


def _type(t: T.Type) -> str:
    return re.sub(r"\bbit\b", "nat", str(t))  # the literals 0 and 1


# ------------------------------------------------------------------------------------------- places


def _placed(d: Diagnostic, places: Sequence[tuple[int, Piece]]) -> Diagnostic:
    """A diagnostic of the session's program, with places in the inputs."""

    def moved(span: Span | None) -> Span | None:
        if span is None or span.source.name != "<session>":
            return span
        for at, piece in places:
            if at <= span.start <= at + len(piece.text):
                start, end = (min(x - at, len(piece.text)) for x in (span.start, span.end))
                return Span(piece.source, piece.start + start, piece.start + end)
        return None

    span, notes = moved(d.span), []
    for n in d.notes:
        if re.match(
            r"in `stage\d+__`", n.message
        ):  # errors of a function are told where it is used
            span = span or moved(n.span)
        else:
            notes.append(replace(n, span=moved(n.span)))
    return replace(d, span=span, notes=tuple(notes))


def _shifted(d: Diagnostic, inside: Source, source: Source) -> Diagnostic:
    """A diagnostic of an input between braces, with its places in the input."""

    def shifted(span: Span | None) -> Span | None:
        if span is None or span.source is not inside:
            return span
        start, end = (min(max(x - 1, 0), len(source.text)) for x in (span.start, span.end))
        return Span(source, start, end)

    message = d.message
    if d.span is not None and d.span.source is inside and d.span.end == len(inside.text):
        message = message.replace("found `}`", "found the end")  # it is our brace
    notes = tuple(replace(n, span=shifted(n.span)) for n in d.notes)
    return replace(d, message=message, span=shifted(d.span), notes=notes)
