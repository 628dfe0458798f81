"""Why a number may be negative, or real, or above 1, or a measure has no density: the way it came,
in at most four lines."""

from __future__ import annotations

from ppl.lang import syntax as s
from ppl.lang.check import atoms
from ppl.lang.check.graph import Apply, Edge, Graph, Turn
from ppl.lang.check.report import quote
from ppl.lang.check.scope import Local
from ppl.lang.check.summaries import Compiled
from ppl.semantics.diagnostics import Note

LINES = 4


def causes(
    c: Compiled, values: list[int], var: int, bits: int, node: s.Node
) -> tuple[list[Note], int]:
    """Notes from `node`, whose atom `var` has the unwanted `bits`, back to where they arise;
    and the variable where the way ends (an input of the body, perhaps)."""
    g = c.flows.graph
    edges, applies = _backward(g)
    notes: list[Note] = []
    name = _local(c, node)
    if name is not None:
        notes.append(Note(f"`{name.name}` is {_kind(g, values, var)}, bound here", name.span))
    seen = {var}
    while True:
        image = turned(c, values, var)
        if image is not None:
            notes += _both(image, values, edges)
            break
        step = next(
            (e for e in edges.get(var, ()) if values[e.src] & bits and e.src not in seen), None
        )
        if step is not None:
            var = step.src
            seen.add(var)
            if step.node.span != node.span:
                text = f"{step.why}, `{quote(step.node)}`, is {_kind(g, values, var)}"
                notes.append(Note(text, step.node.span))
            continue
        made = applies.get(var)
        if made is None:
            break
        source = next((v for v in made.ins if values[v] & bits and v not in seen), None)
        if source is None or not _passes_on(made, values, bits):
            if made.node.span != node.span:
                text = f"`{quote(made.node)}` is {atoms.name(values[var])}"
                notes.append(Note(text + _explain(made, values), made.node.span))
            break
        if made.node.span != node.span:
            notes.append(Note(f"`{quote(made.node)}` is {atoms.name(values[var])}", made.node.span))
        at = made.ins.index(source)
        part = made.nodes[at] if at < len(made.nodes) else None
        origin = _local(c, part) if part is not None else None
        var = source
        seen.add(var)
        if origin is not None:
            notes.append(
                Note(f"`{origin.name}` is {atoms.name(values[var])}, bound here", origin.span)
            )
    unique = list({n.span: n for n in notes}.values())  # of two about one place, the later says why
    if len(unique) > LINES:
        unique = [*unique[: LINES - 1], unique[-1]]
    return unique, var


def turned(c: Compiled, values: list[int], var: int) -> Turn | None:
    """Where whole numbers that are drawn become real, so that a measure has no density."""
    g = c.flows.graph
    if var in g.fixed or not g.is_measure[var]:
        return None
    return next((t for t in g.turns if t.dst == var and t.changes(values)), None)


def _both(image: Turn, values: list[int], edges: dict[int, list[Edge]]) -> list[Note]:
    """Who draws whole numbers, and who real ones."""
    notes = [Note(f"{image.why}, `{quote(image.node)}`, draws whole numbers", image.node.span)]
    ends = [e for _, b in image.pairs for e in edges.get(b, ()) if values[e.src] & atoms.IS_REAL]
    for e in ends[:1]:
        text = f"{e.why}, `{quote(e.node)}`, draws real ones: these have no density in common"
        notes.append(Note(text, e.node.span))
    return notes


def _kind(g: Graph, values: list[int], var: int) -> str:
    return atoms.name(values[var], g.is_measure[var])


def _local(c: Compiled, node: s.Node | None) -> Local | None:
    meaning = c.flows.facts.meaning.get(node) if node is not None else None
    return meaning if isinstance(meaning, Local) else None


def _passes_on(made: Apply, values: list[int], bits: int) -> bool:
    """Whether an operation could have done without the bits, had its arguments not had them."""
    clean = tuple([(values[v] & ~bits) | 8 for v in made.ins])
    return not any([x & bits for x in atoms.result(made.row, clean)])


def _explain(made: Apply, values: list[int]) -> str:
    ins = [atoms.name(values[v]) for v in made.ins]
    if made.row == "sub":
        return f": the difference of {ins[0]} and {ins[1]} may be negative"
    if made.row == "1-":
        return f": 1 - {ins[0]} may be negative"
    if made.row == "neg":
        return ": the sign is changed here"
    return ""


def _backward(g: Graph) -> tuple[dict[int, list[Edge]], dict[int, Apply]]:
    edges: dict[int, list[Edge]] = {}
    for e in g.edges:
        edges.setdefault(e.dst, []).append(e)
    return edges, {w: a for a in g.applies for w in a.outs}
