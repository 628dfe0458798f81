"""What the names of modules mean: a module's own, the prelude's, and those of what is imported.

Items of the standard library are declared when a program first means one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ppl.lang import syntax as s
from ppl.lang.check.scope import ConstructorRef, Facts, Global
from ppl.lang.modules import Linked, Space
from ppl.semantics.diagnostics import Diagnostic, suggest
from ppl.semantics.types import MAP, NAMED

Meant = Global | ConstructorRef


class Names:
    """`declare(item, space)` enters an item of the library into the facts."""

    def __init__(self, linked: Linked, facts: Facts, declare: Callable[[s.Item, Space], None]):
        self.linked, self.facts, self.declare = linked, facts, declare
        self.declared: set[s.Item] = set()

    # ------------------------------------------------------------------------- plain names

    def value(self, space: Space, name: str) -> Meant | None:
        """A function or constructor of the module itself."""
        return self._meant(space.own.get(name))

    def open_value(self, name: str) -> Meant | None:
        """A function or constructor of the prelude."""
        return self._meant(self.linked.prelude[0].own.get(name))

    def constructor(self, space: Space, name: str) -> str | None:
        """The constructor that a pattern names, plain or qualified; None if there is none."""
        alias, dot, member = name.rpartition(".")
        if dot:
            module = space.modules.get(alias)
            found = None if module is None else self._meant(module.own.get(member))
        else:
            found = self.value(space, name)
            if not isinstance(found, ConstructorRef):
                found = self.open_value(name)
        return found.name if isinstance(found, ConstructorRef) else None

    def type(self, space: Space, name: str) -> str | None:
        """The declared type of a name, plain or qualified."""
        alias, dot, member = name.rpartition(".")
        if dot:
            module = space.modules.get(alias)
            return None if module is None else self._type(module.own.get(member))
        own = self._type(space.own.get(name))
        if own is not None or name in NAMED or name in ("dist", "measure", MAP):
            return own  # the prelude is read only if it is needed
        return self._type(self.linked.prelude[0].own.get(name))

    # --------------------------------------------------------------------------- of modules

    def member(self, space: Space, name: str) -> Meant | None:
        """A function or constructor of an imported module."""
        return self._meant(space.own.get(name))

    def unknown_member(self, space: Space, member: str, node: s.Node, what: str) -> Diagnostic:
        known = [n for n, full in space.own.items() if self._is(full, what)]
        has = f"it has {', '.join(known[:8])}" + (", …" if len(known) > 8 else "")
        return Diagnostic(
            "E116",
            f"module `{space.name}` has no {what} `{member}`",
            node.span,
            (),
            suggest(member, known) or (has if known else None),
        )

    def unknown_module(self, space: Space, name: str, node: s.Node) -> Diagnostic:
        """The module before the dot of a type or pattern is not imported."""
        alias = name.rpartition(".")[0]
        return Diagnostic(
            "E118",
            f"there is no module `{alias}` here",
            node.span,
            (),
            suggest(alias, space.modules) or f'import it first: `import "{alias}.ppl" as {alias}`',
        )

    # ------------------------------------------------------------------------------ helpers

    def _meant(self, name: str | None) -> Meant | None:
        if name is None:
            return None
        self._declare(name)
        if name in self.facts.functions:
            return Global(name)
        return ConstructorRef(name) if name in self.facts.constructors else None

    def _type(self, name: str | None) -> str | None:
        if name is None:
            return None
        self._declare(name)
        return name if name in self.facts.data else None

    def _declare(self, name: str) -> None:
        facts = self.facts
        if name in facts.functions or name in facts.constructors or name in facts.data:
            return
        item, space = self._library(name)
        if item is not None and item not in self.declared:
            self.declared.add(item)
            self.declare(item, space)

    def _is(self, name: str, what: str) -> bool:
        item = self._library(name)[0]
        if what == "type":
            return name in self.facts.data or (isinstance(item, s.TypeDecl) and item.name == name)
        if what == "constructor":
            made = isinstance(item, s.TypeDecl) and item.name != name
            return name in self.facts.constructors or made
        return name in self.facts.functions or not (item is None or isinstance(item, s.TypeDecl))

    def _library(self, name: str) -> tuple[s.Item | None, Space]:
        item = self.linked.library.get(name)
        if item is not None:
            return item, self.linked.spaces[item]
        space, items = self.linked.prelude
        return items.get(name), space

    def known(self, space: Space) -> Iterator[str]:
        """Names that a misspelt one may have meant."""
        yield from space.own
        yield from space.modules
        yield from self.linked.prelude[0].own
