"""Checking a module: names and effects, then shapes, then numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ppl.lang import syntax as s
from ppl.lang.check.data import variances
from ppl.lang.check.exhaustive import check_matches
from ppl.lang.check.flows import Unsound
from ppl.lang.check.graph import to_type
from ppl.lang.check.infer import Body
from ppl.lang.check.names import resolve
from ppl.lang.check.numbers import Numbers, Settled
from ppl.lang.check.result import Checked, Instance, InstanceKey
from ppl.lang.check.scope import Facts
from ppl.lang.check.templates import Functions
from ppl.lang.modules import Linked, link
from ppl.semantics.diagnostics import Diagnostic, Span


def check(program: s.Module | Linked) -> Checked:
    """All that is known about a program: a file, or a file linked with what it imports.

    Raises nothing: problems are in `diagnostics`.
    """
    found: dict[Diagnostic, None] = {}

    def report(d: Diagnostic) -> None:
        found[d] = None

    linked = link(program, report) if isinstance(program, s.Module) else program
    module = linked.main
    facts, entries = Facts(), dict[str, InstanceKey]()
    instances: Mapping[InstanceKey, Instance] = {}
    try:
        resolve(linked, facts, report)
        functions = Functions(facts, report)
        functions.infer()
        numbers = Numbers(variances(facts), report)
        sound = _sound(functions)
        for body in sound.values():
            check_matches(body, report)
        for name in sound:
            body = functions.plain(name)
            if body is None or body.broken:
                continue
            try:
                key = numbers.entry(body)
            except Unsound:
                continue
            if _is_entry(body):
                entries[name] = key
        instances = _Instances(numbers.settled)
    except RecursionError:
        report(
            Diagnostic(
                "E390",
                "the program nests too deep to be checked",
                module.span,
                (),
                "name its parts",
            )
        )
    models = [i.name for i in module.items if isinstance(i, s.Function) and i.kind == "model"]
    guides = [i.name for i in module.items if isinstance(i, s.Guide)]
    diagnostics = sorted(found, key=lambda d: _place(d, module.span))
    siblings = {
        name: frozenset(decl.fields) for decl in facts.data.values() for name in decl.fields
    }
    return Checked(
        module, tuple(diagnostics), tuple(models), tuple(guides), instances, entries, siblings
    )


def _place(d: Diagnostic, main: Span) -> tuple[bool, str, int, int, str]:
    """The program's own first, then by file."""
    if d.span is None:
        return (False, "", 0, 0, d.code)
    source = d.span.source
    own = source is main.source
    return (not own, "" if own else source.name, d.span.start, d.span.end, d.code)


def _is_entry(body: Body) -> bool:
    return isinstance(body.item, s.Guide) or body.item.kind == "model"


def _sound(functions: Functions) -> dict[str, Body]:
    """Functions at their declared types, except those that use one with an error; none where the
    declaration of a type has one."""
    facts = functions.facts
    if facts.misdeclared:
        return {}
    bad = set(facts.broken)
    for name, f in functions.by_name.items():
        if f.body is None or f.body.broken or any(b.broken for b in f.instances.values()):
            bad.add(name)
    grew = True
    while grew:
        grew = False
        for name, mentions in facts.mentions.items():
            if name not in bad and any(m in bad for m in mentions):
                bad.add(name)
                grew = True
    return {
        name: f.body
        for name, f in functions.by_name.items()
        if name not in bad and f.body is not None
    }


class _Instances(Mapping[InstanceKey, Instance]):
    """Instances with their tables, made when looked at: diagnostics alone do not need them."""

    def __init__(self, settled: dict[InstanceKey, Settled]):
        self._settled = settled
        self._made: dict[InstanceKey, Instance] = {}

    def __getitem__(self, key: InstanceKey) -> Instance:
        if key not in self._made:
            self._made[key] = _instance(self._settled[key])
        return self._made[key]

    def __iter__(self) -> Iterator[InstanceKey]:
        return iter(self._settled)

    def __len__(self) -> int:
        return len(self._settled)


def _instance(settled: Settled) -> Instance:
    flows = settled.compiled.flows
    body, value = flows.body, settled.values.__getitem__
    types = {node: to_type(a, value) for node, a in flows.types.items()}
    if isinstance(body.item, s.Function) and body.item.kind == "model":
        for p in body.item.params:
            if p.type is not None:
                types[p] = body.facts.annotations[p.type]
    calls = dict(settled.calls)
    for node in flows.types:
        if isinstance(node, s.Call) and node.fn in settled.calls:  # the result may be called, too
            calls[node] = settled.calls[node.fn]
    blocks = [n for n in flows.types if isinstance(n, s.Block)]
    measures = frozenset(
        b for b in blocks if b in body.facts.measure_blocks or b in body.unit_blocks
    )
    return Instance(
        settled.key,
        body.item,
        types,
        calls,
        body.primitive,
        settled.casts,
        body.arguments,
        measures,
        body.constructors,
    )
