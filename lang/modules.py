"""Imports: from one file to all the modules it uses, each read once, with names told apart.

The program's own names stay as they are. A name of a module begins with the module's, as in
`shapes.area`, so that no two modules' names meet, and none meets the program's. The prelude's names
are plain, but for those that the program has itself.

Where files come from is the caller's matter (`Files`); paths are checked here, and never lead out
of the folder that the caller reads from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

from ppl.lang import stdlib
from ppl.lang import syntax as s
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note, Source, Span, fail, suggest

#: files that one program may have, and their characters together
MAX_FILES, MAX_CHARACTERS = 100, 1_000_000

Report = Callable[[Diagnostic], None]


class Files(Protocol):
    """A folder of model files."""

    @property
    def main(self) -> str:
        """The path of the program's own file within the folder; empty for a text."""
        ...

    def read(self, path: str, span: Span) -> Source:
        """The file at a path (`a/b.ppl`, checked) in the folder.

        Raises:
            DiagnosticError: at `span`. E090, no such file, or it cannot be read; E091, it lies
                outside the folder.
        """
        ...


@dataclass(frozen=True, eq=False)
class Space:
    """What names mean in one module: `own` names, as the module writes them, to the program's, and
    the modules it imports, by alias. `broken`: it could not be read, which was reported."""

    name: str
    own: Mapping[str, str]
    modules: Mapping[str, Space] = field(default_factory=dict)
    broken: bool = False


@dataclass(frozen=True, eq=False)
class Linked:
    """A program and all it imports. `module` has the items of the program and of imported files,
    under their names in the program; `library` those of the standard library's modules."""

    main: s.Module
    module: s.Module
    spaces: Mapping[s.Item, Space]
    library: Mapping[str, s.Item]
    libraries: tuple[Space, ...]

    @cached_property
    def prelude(self) -> tuple[Space, Mapping[str, s.Item]]:
        """The prelude's names, and its items by name and constructor."""
        taken = set(_names(self.main))
        items = stdlib.tree(stdlib.PRELUDE).items
        own = {
            n: f"{stdlib.PRELUDE}.{n}" if n in taken else n
            for n in _names(stdlib.tree(stdlib.PRELUDE))
        }
        space = Space(stdlib.PRELUDE, MappingProxyType(own))
        return space, MappingProxyType(_by_name([_renamed(i, own) for i in items]))


@dataclass(eq=False)
class _Loaded:
    """A module on its way: its place in the folder or name in the library, what it imports."""

    key: str
    tree: s.Module
    is_library: bool
    aliases: dict[str, _Loaded | None] = field(default_factory=dict)


def link(module: s.Module, report: Report, files: Files | None = None) -> Linked:
    """Read everything that a program imports. Problems are reported (E090 to E095, E115, and the
    syntax errors of imported files); what could not be read is left out."""
    loader = _Loader(report, files)
    main = loader.open(files.main if files is not None else "", module, is_library=False)
    prefixes = _prefixes([m for m in loader.modules if m is not main])
    prefixes[main] = ""
    spaces: dict[_Loaded, Space] = {}
    for m in loader.modules:  # imported ones come before those that import them
        prefix = prefixes[m]
        own = {n: f"{prefix}.{n}" if prefix else n for n in _names(m.tree)}
        modules = {
            alias: Space(alias, {}, broken=True) if found is None else spaces[found]
            for alias, found in m.aliases.items()
        }
        spaces[m] = Space(prefix, MappingProxyType(own), MappingProxyType(modules))
    items: list[s.Item] = []
    library: list[s.Item] = []
    of: dict[s.Item, Space] = {}
    for m in reversed(loader.modules):
        for item in m.tree.items:
            if not isinstance(item, s.Import):
                new = item if m is main else _renamed(item, spaces[m].own)
                of[new] = spaces[m]
                (library if m.is_library else items).append(new)
    return Linked(
        module,
        s.Module(module.span, tuple(items)),
        of,
        _by_name(library),
        tuple(spaces[m] for m in loader.modules if m.is_library),
    )


class _Loader:
    def __init__(self, report: Report, files: Files | None):
        self.report, self.files = report, files
        #: in the order in which they are complete
        self.modules: list[_Loaded] = []
        self.found: dict[tuple[str, bool], _Loaded | None] = {}
        self.stack: list[tuple[str, Span]] = []
        self.files_read = self.characters = 0

    def open(self, key: str, tree: s.Module, *, is_library: bool) -> _Loaded:
        """A module, after all that it imports. As deep as imports nest, at most MAX_FILES."""
        loaded = _Loaded(key, tree, is_library)
        taken = {i.name: i for i in tree.items if not isinstance(i, s.Import)}
        for item in tree.items:
            if not isinstance(item, s.Import):
                continue
            if item.name in taken:
                self.report(_taken(item, taken[item.name]))
                continue
            taken[item.name] = item
            self.stack.append((key, item.span))
            try:
                loaded.aliases[item.name] = self.imported(item, key, is_library)
            except DiagnosticError as error:
                loaded.aliases[item.name] = None
                for d in error.diagnostics:
                    self.report(d)
            self.stack.pop()
        self.modules.append(loaded)
        return loaded

    def imported(self, item: s.Import, importer: str, from_library: bool) -> _Loaded | None:
        from_file = item.span.text.removeprefix("import").lstrip().startswith('"')
        if not from_file:
            return self.library(item)
        if from_library or self.files is None:
            raise fail(
                "E094",
                "a program that is a text of its own imports no files",
                span=item.span,
                hint="say which folder they are in: `ppl.compile(text, folder=…)`",
            )
        key = within(importer, item)
        known = (key, False)
        if known in self.found:
            return self.found[known]
        if any(k == key for k, _ in self.stack):
            raise self.cycle(key, item)
        if self.files_read >= MAX_FILES:
            raise fail(
                "E093",
                f"a program imports at most {MAX_FILES} files",
                span=item.span,
                hint="put what belongs together into one file",
            )
        self.files_read += 1
        self.found[known] = None  # until it is read: what has an error is not read again
        source = self.files.read(key, item.span)
        self.characters += len(source.text)
        if self.characters > MAX_CHARACTERS:
            raise fail(
                "E093",
                f"the imported files have more than {MAX_CHARACTERS:,} characters together",
                span=item.span,
                hint="data are given to a model, not written in it",
            )
        del self.found[known]
        from ppl.lang.parser import parse

        try:
            tree = parse(source)
        except DiagnosticError:
            self.found[known] = None
            raise
        self.found[known] = out = self.open(key, tree, is_library=False)
        return out

    def library(self, item: s.Import) -> _Loaded:
        name = item.path
        if name not in stdlib.MODULES:
            hint = suggest(name, stdlib.MODULES)
            raise fail(
                "E095",
                f"the standard library has no module `{name}`",
                span=item.name_span,
                notes=(Note(f"its modules are {', '.join(stdlib.MODULES)}"),),
                hint=hint or f'a file is imported by its path: `import "{name}.ppl" as {name}`',
            )
        known = (name, True)
        if known not in self.found:
            self.found[known] = self.open(name, stdlib.tree(name), is_library=True)
        out = self.found[known]
        assert out is not None
        return out

    def cycle(self, key: str, item: s.Import) -> DiagnosticError:
        """The files of the cycle, each with the import that leads to the next."""
        start = next(i for i, (k, _) in enumerate(self.stack) if k == key)
        ring = self.stack[start:]
        names = [k for k, _ in ring] + [key]
        notes = [
            Note(f"`{a}` imports `{b}`", span) for (a, span), b in zip(ring, names[1:], strict=True)
        ]
        return fail(
            "E092",
            f"`{key}` imports itself: {' → '.join(names)}",
            span=item.span,
            notes=notes[:8],
            hint="move what both need into a file that imports neither",
        )


# -------------------------------------------------------------------------------------- paths

_PART = re.compile(r"[\w -][\w .-]*|\.{1,2}")


def within(importer: str, item: s.Import) -> str:
    """The path of an imported file within the folder. Raises DiagnosticError (E091)."""
    path = item.path
    parts = importer.split("/")[:-1]
    steps = path.split("/")
    if not path.endswith(".ppl") or not all(map(_PART.fullmatch, steps)):
        raise fail(
            "E091",
            f"{_short(path)} is no path of a model file within the program's folder",
            span=item.span,
            hint="write a relative path of plain names with `/`, such as `parts/shapes.ppl`",
        )
    for step in steps:
        if step == "..":
            if not parts:
                raise fail(
                    "E091",
                    f"{_short(path)} leads out of the program's folder",
                    span=item.span,
                    hint="a program reads no files outside its own file's folder: copy it there",
                )
            parts.pop()
        elif step != ".":
            parts.append(step)
    return "/".join(parts)


def _short(path: str) -> str:
    return repr(path if len(path) <= 60 else path[:60] + "…")


# -------------------------------------------------------------------------------------- names


def _names(module: s.Module) -> list[str]:
    """The names of a module's items, and of its constructors."""
    out = []
    for item in module.items:
        if not isinstance(item, s.Import):
            out.append(item.name)
            if isinstance(item, s.TypeDecl):
                out += [c.name for c in item.constructors]
    return out


def _by_name(items: list[s.Item]) -> dict[str, s.Item]:
    out = {}
    for item in items:
        out[item.name] = item
        if isinstance(item, s.TypeDecl):
            out |= dict.fromkeys([c.name for c in item.constructors], item)
    return out


def _renamed(item: s.Item, own: Mapping[str, str]) -> s.Item:
    """An item under its name in the program. What it mentions is left as it is written."""
    fields = {name: getattr(item, name) for name in item.__match_args__}
    fields["name"] = own[item.name]
    if isinstance(item, s.TypeDecl):
        fields["constructors"] = tuple(
            s.Constructor(c.span, own[c.name], c.fields) for c in item.constructors
        )
    return type(item)(**fields)


def _prefixes(modules: list[_Loaded]) -> dict[_Loaded, str]:
    """A word for each module: the name of its file, with its folders where two have the same."""
    words = [m.key if m.is_library else _word(m.key.rpartition("/")[2]) for m in modules]
    out: dict[_Loaded, str] = {}
    used = {stdlib.PRELUDE, *stdlib.MODULES}
    for m, word in zip(modules, words, strict=True):
        prefix = word
        if not m.is_library:
            if words.count(word) > 1 or word in used:
                prefix = ".".join(map(_word, m.key.split("/")))
            plain, n = prefix, 1
            while prefix in used:
                n += 1
                prefix = f"{plain}_{n}"
        used.add(prefix)
        out[m] = prefix
    return out


def _word(name: str) -> str:
    """A file's or folder's name as a word of the language."""
    word = re.sub(r"\W", "_", name.removesuffix(".ppl"))
    return word if word[:1].isalpha() else f"_{word}"


def _taken(item: s.Import, first: s.Item) -> Diagnostic:
    return Diagnostic(
        "E115",
        f"`{item.name}` is imported, and is the name of something else here",
        item.name_span,
        (Note("the other", first.name_span),),
        f'import it under another name: `import "{item.path}" as …`'
        if item.path.endswith(".ppl")
        else "rename the other",
    )
