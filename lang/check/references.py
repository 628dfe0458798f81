"""What a name means at one place in a function, and what is said of one that means nothing."""

from __future__ import annotations

from collections.abc import Iterable

from ppl.lang import habits
from ppl.lang import syntax as s
from ppl.lang.check.annotations import Report, Where
from ppl.lang.check.builtins import BUILTINS
from ppl.lang.check.scope import (
    Builtin,
    Constant,
    ConstructorRef,
    Global,
    Local,
    Role,
    Scope,
)
from ppl.lang.modules import Space
from ppl.semantics.diagnostics import Diagnostic, Note, Span, suggest
from ppl.semantics.signatures import CONSTANTS

_OUTSIDE = (
    "a function in a block cannot call itself: write it outside, with what it reads as parameters"
)


class References:
    """The names that one function mentions. Reports E116 to E118, E201, E204 and E506."""

    def __init__(self, where: Where, report: Report, item: s.Function | s.Guide):
        self.item, self.emit = item, report
        self.facts, self.names, self.space = where.names.facts, where.names, where.space
        #: functions that are mentioned, in order
        self.mentioned: dict[str, None] = {}
        #: names that stand where constructors do, and are none
        self.unbound: set[str] = set()
        #: whether the expression being resolved has mentioned something random
        self.random = False
        #: functions in blocks whose bodies are being resolved
        self.inside: list[str] = []

    def report(self, d: Diagnostic) -> None:
        if d.severity == "error":
            self.facts.broken.add(self.item.name)
        self.emit(d)

    def constructor(self, p: s.PCons, name: str, scope: Scope, role: Role) -> None:
        """What a constructor means in a pattern. An unknown one without arguments is nearly always
        a variable, and counts as bound from then on."""
        found = self.names.constructor(self.space, name)
        if found is not None:
            self.facts.meaning[p] = ConstructorRef(found)
            return
        alias, dot, member = name.rpartition(".")
        if not dot:
            known = [n for n, full in self.space.own.items() if full in self.facts.constructors]
            small = name.lower() if name.isupper() else name[0].lower() + name[1:]
            hint = f"capitalised names in patterns are constructors: call a variable `{small}`"
            bound = scope.find(name)
            if not p.args:
                scope.names[name] = Local(name, role, p.span)
            if bound is not None and bound.role == "data" and role == "draw":
                self.report(draws_data(name, p.span, bound))
            elif name not in self.unbound:
                self.unbound.add(name)
                self.unknown("E204", "constructor", name, p, known, hint)
        elif alias not in self.space.modules:
            self.report(self.names.unknown_module(self.space, name, p))
        else:
            self.missing(self.space.modules[alias], member, p, "constructor")

    def missing(self, module: Space, member: str, node: s.Node, what: str) -> None:
        """What a module does not have; of one that could not be read, that was reported."""
        if module.broken:
            self.facts.broken.add(self.item.name)
        else:
            self.report(self.names.unknown_member(module, member, node, what))

    def unknown(
        self,
        code: str,
        what: str,
        name: str,
        node: s.Node,
        known: Iterable[str],
        otherwise: str | None = None,
    ) -> None:
        hint = suggest(name, known) or otherwise
        self.report(Diagnostic(code, f"there is no {what} `{name}`", node.span, (), hint))

    def name(self, e: s.Name, scope: Scope) -> None:
        name, facts = e.name, self.facts
        local = scope.find(name)
        if local is not None:
            local.uses += 1
            self.random = self.random or local.random
            facts.meaning[e] = local
        elif (found := self.names.value(self.space, name)) is not None:
            self.means(e, found)
        elif name in self.space.modules:
            self.report(
                Diagnostic(
                    "E117",
                    f"`{name}` is a module, which is no value",
                    e.span,
                    (),
                    f"its functions are written `{name}.…`",
                )
            )
        elif name in BUILTINS:
            facts.meaning[e] = Builtin(name)
        elif name in CONSTANTS:
            facts.meaning[e] = Constant(name, CONSTANTS[name])
        elif (found := self.names.open_value(name)) is not None:
            self.means(e, found)
        else:
            known = [*scope.visible(), *self.names.known(self.space), *CONSTANTS]
            known += sorted(BUILTINS)
            hint = _OUTSIDE if name in self.inside else habits.name(name)
            if hint is _OUTSIDE or (hint is not None and name.lower() not in known):
                known = []
            self.unknown("E201", "variable or function", name, e, known, hint)

    def means(self, e: s.Expr, found: Global | ConstructorRef) -> None:
        self.facts.meaning[e] = found
        if isinstance(found, Global):
            self.mentioned[found.name] = None

    def qualified(self, e: s.Field, scope: Scope) -> bool:
        """Whether this is a name of an imported module, and what it means. Locals hide modules."""
        if not isinstance(e.value, s.Name) or scope.find(e.value.name) is not None:
            return False
        module = self.space.modules.get(e.value.name)
        if module is None:
            return False
        found = self.names.member(module, e.name)
        if found is None:
            self.missing(module, e.name, e, "function")
        else:
            self.means(e, found)
        return True


def draws_data(name: str, span: Span, known: Local) -> Diagnostic:
    """E506: `~` does not rebind data, which is nearly always a forgotten `observe`."""
    return Diagnostic(
        "E506",
        f"`{name}` is data: `~` cannot draw it",
        span,
        (Note(f"`{name}` is a parameter of the model", known.span),),
        f"write `observe {name} ~ …`",
    )
