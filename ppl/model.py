"""Models as Python values: `ppl.compile`, `ppl.load`, and models applied to data.

models = ppl.load("model.ppl")        # names of models are attributes
target = models.eight_schools(y=y, sigma=sigma)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl.data import bind
from ppl.places import Parameter
from ppl.semantics.diagnostics import Diagnostic, Source, fail, suggest
from ppl.target import Target
from ppl.variants import Variants

if TYPE_CHECKING:
    from ppl.files import Fields
    from ppl.semantics import ir
    from ppl.semantics.engine import Engine
    from ppl.semantics.machine import Machine


def compile(text: str, *, name: str = "<text>", folder: str | Path | None = None) -> Models:
    """The models of a program text. It may import files if the `folder` they are in is given.

    Raises:
        DiagnosticError: the text is not a well-typed program; E007, it is no text.
    """
    from ppl.lang.compile import compile_source
    from ppl.sources import Folder

    if not isinstance(text, str):
        raise fail(
            "E007",
            f"`compile` takes the text of a program, not {type(text).__name__}",
            hint="to read a file: ppl.load(path)",
        )
    files = None if folder is None else Folder(Path(folder))
    return Models(compile_source(Source(name, text), files))


def load(path: str | Path) -> Models:
    """The models of a file, which may import files in its folder and below.

    Raises:
        DiagnosticError: E007 if the file cannot be read, or what is wrong with the program.
    """
    from ppl.lang.compile import compile_source
    from ppl.sources import Folder, read_source

    if not isinstance(path, (str, PathLike)):
        raise fail("E007", f"`load` takes the path of a model file, not {type(path).__name__}")
    return Models(compile_source(read_source(path), Folder.of(path)))


class Models:
    """The models of one source, as attributes and items."""

    def __init__(self, compiled: Any):
        self._compiled = compiled
        self._models = {name: Model(name, compiled) for name in compiled.models}

    def __getattr__(self, name: str) -> Model:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Model:
        if name not in self._models:
            raise fail(
                "E818",
                f"there is no model `{name}` here (there is {', '.join(self._models) or 'none'})",
                hint=suggest(name, self._models),
            )
        return self._models[name]

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    def __reduce__(self) -> Any:
        """Pickled as the programs of its models."""
        return Models, (self._compiled.only(*self._models),)

    def __dir__(self) -> list[str]:
        return sorted(self._models)

    def __repr__(self) -> str:
        return f"<models {', '.join(self._models)}>"

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the checker warns of."""
        return tuple(self._compiled.diagnostics)


class Model:
    """A model: a function from data to measures."""

    def __init__(self, name: str, compiled: Any):
        self.name = name
        self._compiled = compiled
        #: what has been compiled of it, for all its targets
        self.variants = Variants()

    @cached_property
    def program(self) -> ir.Program:
        """The typed IR of the model."""
        return self._compiled.program(self.name)

    @cached_property
    def engine(self) -> Engine:
        """The evaluator that runs it, and why."""
        from ppl.semantics.engine import choose

        return choose(self.program)

    @property
    def machine(self) -> Machine:
        """It, on the machine."""
        return self.variants.machine(self.program)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Names, types and places of the data it takes."""
        return tuple(self._compiled.parameters(self.name))

    @property
    def doc(self) -> str | None:
        return self._compiled.doc(self.name)

    def __call__(self, /, *unnamed: Any, **data: Any) -> Target:
        """The measure of the model given its data, each parameter's by its name.

        Raises:
            DiagnosticError: E601 to E606, a parameter is missing, misspelt, or has data of the
                wrong kind, shape or range; all such problems at once.
        """
        if unnamed:
            names = ", ".join(f"{p.name}=…" for p in self.parameters)
            count = f"{len(unnamed)} value{'s' if len(unnamed) > 1 else ''}"
            raise fail(
                "E601",
                f"`{self.name}` takes its data by name, and is given {count} without one",
                hint=f"write {self.name}({names})",
            )
        return self.on(data)

    def on(self, data: Mapping[str, Any] | Fields) -> Target:
        """As a call, with the data as a mapping or as fields read from a file."""
        values, warnings = bind(self.parameters, data)
        return Target(self, values, warnings)

    def __reduce__(self) -> Any:
        """Pickled as its program: what was compiled of it is compiled again."""
        return Model, (self.name, self._compiled.only(self.name))

    def __repr__(self) -> str:
        shown = ", ".join(f"{p.name}: {p.type}" for p in self.parameters)
        return f"<model {self.name}({shown})>"
