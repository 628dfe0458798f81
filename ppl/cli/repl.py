"""`ppl repl`: a prompt. What it answers is `ppl.repl`'s; here are lines, history and interrupts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from ppl.cli.report import paint
from ppl.semantics.diagnostics import DiagnosticError

PROMPT, MORE = "ppl> ", "...> "


@click.command("repl")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
def command(seed: int) -> None:
    """Try expressions, draws and models at a prompt."""
    if sys.stdin.isatty():
        with _history():
            click.echo("ppl: `:help` says what there is, Ctrl-D leaves")
            _interact(seed)
        return
    for answer in answers(sys.stdin, seed=seed):
        click.echo(answer)


def answers(lines: Iterable[str], *, seed: int = 0) -> Iterator[str]:
    """What a session answers to lines, one text for each input that has an answer."""
    talk = Conversation(seed)
    for line in lines:
        if talk.over:
            return
        if answer := talk.line(line.rstrip("\n")):
            yield answer
    if answer := talk.end():
        yield answer


class Conversation:
    """Lines to inputs, and inputs to answers."""

    def __init__(self, seed: int = 0):
        from ppl.repl import begin

        self.session, self.over = begin(seed=seed), False
        self._lines: list[str] = []

    @property
    def waiting(self) -> bool:
        """Whether an input has begun and is not whole."""
        return bool(self._lines)

    def line(self, line: str) -> str:
        """The answer to a line: nothing if the input goes on."""
        from ppl.repl import complete

        self._lines.append(line)
        text = "\n".join(self._lines)
        if not complete(text):
            return ""
        self._lines = []
        if text.strip() in (":quit", ":q", ":exit"):
            self.over = True
            return ""
        return self._answered(text)

    def end(self) -> str:
        """The answer when lines end in an input."""
        text, self._lines = "\n".join(self._lines), []
        return self._answered(text) if text else ""

    def drop(self) -> None:
        """Forget an input that has begun."""
        self._lines = []

    def _answered(self, text: str) -> str:
        from ppl.repl import step

        try:
            self.session, answer = step(self.session, text)
        except DiagnosticError as error:
            self.session = replace(self.session, inputs=self.session.inputs + 1)
            return "\n\n".join(map(paint, error.diagnostics))
        except KeyboardInterrupt:
            return "interrupted"
        return answer


def _interact(seed: int, read: Callable[[str], str] = input) -> None:
    """The loop on a terminal. Ctrl-C drops the input, Ctrl-D leaves."""
    talk = Conversation(seed)
    while not talk.over:
        try:
            line = read(MORE if talk.waiting else PROMPT)
        except KeyboardInterrupt:
            click.echo()
            talk.drop()
            continue
        except EOFError:
            click.echo()
            return
        if answer := talk.line(line):
            click.echo(answer)


class _history:
    """Lines of earlier sessions, where Python has readline."""

    def __enter__(self) -> None:
        try:
            import readline
        except ImportError:
            self.readline = None
            return
        from platformdirs import user_state_path

        self.readline = readline
        self.path = Path(user_state_path("quasiborel")) / "history"
        try:
            readline.read_history_file(self.path)
        except OSError:
            pass

    def __exit__(self, *_: object) -> None:
        if self.readline is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.readline.set_history_length(1_000)
            self.readline.write_history_file(self.path)
        except OSError:
            pass
