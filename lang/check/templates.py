"""Top-level functions in dependency order: schemes, templates and their instances.

A function whose shapes are settled by its own text has a scheme. One whose shapes stay open (it
adds its arguments, say, which may be scalars or arrays) is a template: its body is walked again for
each tuple of argument shapes that it is called at, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.infer import Body
from ppl.lang.check.report import Place
from ppl.lang.check.scope import Facts
from ppl.lang.check.solver import Constraint, Solver
from ppl.lang.check.terms import ERROR, NUM, Con, Meta, Term, prune, unknowns
from ppl.semantics.diagnostics import Diagnostic, Note

#: instances of one function by shape, before it is taken for endless
MANY = 200


@dataclass(eq=False)
class Fn:
    """A top-level function as far as it is known."""

    item: s.Function | s.Guide
    #: None until its strongly connected component is reached
    body: Body | None = None
    ready: bool = False
    #: unknowns of the type that each use replaces by its own
    general: list[Meta] = field(default_factory=list)
    template: bool = False
    #: of a template, what its own text takes unknowns for if nothing is known of them
    leanings: dict[Meta, Term] = field(default_factory=dict)
    #: all parameters and the result are written, with type variables
    polymorphic: bool = False
    instances: dict[object, Body] = field(default_factory=dict)


class Functions:
    def __init__(self, facts: Facts, report: Callable[[Diagnostic], None]):
        self.facts, self.report = facts, report
        self.solver = Solver()
        self.by_name = {name: Fn(item) for name, item in facts.functions.items()}
        self.spawned: list[Body] = []

    def infer(self) -> None:
        """Shapes of all functions, callees first."""
        for component in components(self.facts.mentions):
            self._component([self.by_name[n] for n in component])

    # ---------------------------------------------------------------------- one component

    def _component(self, fns: list[Fn]) -> None:
        sound = [f for f in fns if f.item.name not in self.facts.broken]
        for f in sound:
            f.body = self._open(f)
        for f in sound:
            assert f.body is not None
            f.body.walk()
            self.solver.run()
        self._settle_spawned()
        grounded = [f for f in sound if self._is_ground(f)]
        for f in grounded:
            assert f.body is not None
            self.solver.settle(f.body.constraints)
            self._settle_spawned()
        for f in sound:
            body = f.body
            assert body is not None
            if f not in grounded:
                waiting = [c for c in body.constraints if not c.done]
                f.template = bool(waiting)
                for leaf, element in (lean for c in waiting for lean in c.leanings()):
                    f.leanings.setdefault(leaf, element)
                for c in waiting:
                    c.done = True
            else:
                for u in unknowns(t.fun(body.params, body.result), []):
                    self.solver.same(u, NUM)
            f.general = unknowns(t.fun(body.params, body.result), [])
            f.ready = True
            if not f.template and not f.general:
                key = t.freeze(t.fun(body.params, body.result))
                f.instances[key] = body
        for f in fns:
            f.ready = True

    def _open(self, f: Fn) -> Body:
        item, variables = f.item, dict[str, Term]()
        body = Body(self, item, [], Meta(), variables)
        body.params = self._parameters(f, body)
        written = item.result if isinstance(item, s.Function) else None
        if written is not None:
            body.result = body.annotated(written)
        f.polymorphic = (
            written is not None and bool(variables) and all(p.type is not None for p in item.params)
        )
        return body

    def _parameters(self, f: Fn, body: Body) -> list[Term]:
        out: list[Term] = []
        target = self.facts.functions.get(f.item.target) if isinstance(f.item, s.Guide) else None
        known = {p.span.text: p.type for p in target.params} if target is not None else {}
        for p in f.item.params:
            written = p.type
            if written is None and isinstance(p.pattern, s.PName):
                written = known.get(p.pattern.name)
            if written is not None and written in self.facts.annotations:
                out.append(body.annotated(written))
            else:
                out.append(Meta())
        return out

    def _is_ground(self, f: Fn) -> bool:
        assert f.body is not None
        return (
            not isinstance(f.item, s.Function)
            or f.item.kind == "model"
            or all(p.type is not None for p in f.item.params)
            and not f.body.variables
        )

    def _settle_spawned(self) -> None:
        while self.spawned:
            bodies, self.spawned = self.spawned, []
            for b in bodies:
                self.solver.settle(b.constraints)

    # -------------------------------------------------------------------------------- uses

    def reference(self, name: str, body: Body, node: s.Node) -> Con | None:
        """The type of a function where it is mentioned; None if its own text has an error."""
        f = self.by_name[name]
        own = f.body
        if own is None or (f.ready and own.broken):
            body.broken = True
            return None
        fn = t.fun(own.params, own.result)
        if f.polymorphic and not f.ready:
            fresh = {m: Meta() for m in unknowns(fn, [])}
            fn = t.copy(fn, dict(fresh))
        elif f.ready and f.general:
            fn = t.copy(fn, {m: Meta() for m in f.general})
        assert isinstance(fn, Con)
        body.calls[node] = (name, fn)
        if f.ready and f.template:
            self.solver.add(UseTemplate(Place(body, node), f, fn))
        return fn

    def instance(self, name: str, fn: Con, site: Place) -> Body | None:
        """The body of a function at a known type, None if there is no end to such types. The
        solver must be at rest."""
        f = self.by_name[name]
        for u in unknowns(fn, []):
            self.solver.same(u, NUM)
        if t.too_large(fn) or len(f.instances) >= MANY:
            return None
        key = t.freeze(fn)
        if f.template:
            key = t.freeze(Con("fun", fn.args[:-1]))
        found = f.instances.get(key)
        if found is None:
            found = self._spawn(f, list(fn.args[:-1]), site)
            f.instances[key] = found
            self.solver.same(found.result, fn.args[-1])
            self.solver.run()
            self._settle_spawned()
        return found

    def plain(self, name: str) -> Body | None:
        """A function at its own type, its type variables numbers. None for templates, which have
        no type of their own."""
        f = self.by_name[name]
        if f.body is None or f.template:
            return None
        if not f.general:
            return f.body
        fn = t.copy(t.fun(f.body.params, f.body.result), dict.fromkeys(f.general, NUM))
        assert isinstance(fn, Con)
        return self.instance(name, fn, Place(f.body, f.item))

    def _spawn(self, f: Fn, params: list[Term], site: Place | None) -> Body:
        assert f.body is not None
        variables: dict[str, Term] = {}
        body = Body(self, f.item, params, Meta(), variables, site)
        written = f.item.result if isinstance(f.item, s.Function) else None
        for p, term in zip(f.item.params, params, strict=True):
            if p.type is not None:
                self.solver.same(body.annotated(p.type), term)
        if written is not None:
            body.result = body.annotated(written)
        self.spawned.append(body)
        self.solver.queue.append(Walk(Place(body, f.item)))
        return body


class Walk(Constraint):
    """The body of an instance, walked when the solver comes to it, so that calls do not nest."""

    __slots__ = ()

    def attempt(self, solver: Solver) -> None:
        self.place.body.walk()


class UseTemplate(Constraint):
    """A use of a template: solved by the instance at its argument shapes, once they are known."""

    __slots__ = ("fn", "type")

    def __init__(self, place: Place, fn: Fn, type_: Con):
        super().__init__(place)
        self.fn, self.type = fn, type_

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        params = self.type.args[:-1]
        waits = unknowns(Con("fun", params), [])
        if waits:
            return waits[:1]
        if t.too_large(Con("fun", params)):
            self._endless()
            return None
        f, key = self.fn, t.freeze(Con("fun", params))
        found = f.instances.get(key)
        if found is None:
            functions = self.place.body.functions
            if len(f.instances) >= MANY:
                self._endless()
                return None
            found = functions._spawn(f, list(params), self.place)
            f.instances[key] = found
        node = self.place.node
        solver.equal(found.result, self.type.args[-1], self.place, node, "the value used here")
        return None

    def guess(self, solver: Solver) -> None:
        for u, element in self.leanings():
            solver.same(u, element)
        for u in unknowns(Con("fun", self.type.args[:-1]), []):
            solver.same(u, NUM)

    def leanings(self) -> Iterable[tuple[Meta, Term]]:
        """As the text of the template does: its parameters beside those of this use."""
        assert self.fn.body is not None
        todo = list(zip(self.fn.body.params, self.type.args[:-1], strict=True))
        while todo:
            own, used = map(prune, todo.pop())
            if type(used) is Meta:
                if type(own) is Meta and own in self.fn.leanings:
                    yield used, self.fn.leanings[own]
            elif isinstance(own, Con) and isinstance(used, Con) and own.head == used.head:
                todo += zip(own.args, used.args, strict=True)

    def _endless(self) -> None:
        self.place.body.report(endless(self.fn.item.name, self.place.node))
        self.place.body.solver.same(self.type.args[-1], ERROR)


def endless(name: str, node: s.Node) -> Diagnostic:
    """Each type makes an instance, so there must be an end to them."""
    return Diagnostic(
        "E315",
        f"`{name}` is used at more and more types, without end",
        node.span,
        (Note(f"each use of `{name}` within itself is at another type"),),
        "recursion has to be at the function's own type",
    )


def components(edges: dict[str, list[str]]) -> list[list[str]]:
    """Strongly connected components, callees first (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    out: list[list[str]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for next_ in rest:
                if next_ not in edges:
                    continue
                if next_ not in index:
                    index[next_] = low[next_] = len(index)
                    stack.append(next_)
                    on_stack.add(next_)
                    work.append((next_, iter(edges[next_])))
                    break
                if next_ in on_stack:
                    low[node] = min(low[node], index[next_])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == node:
                            break
                    out.append(component[::-1])
    return out
