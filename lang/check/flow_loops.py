"""Which numbers flow where in loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check import atoms
from ppl.lang.check.graph import A
from ppl.lang.check.statements import tail

if TYPE_CHECKING:
    from ppl.lang.check.flows import Flows


def for_(flows: Flows, e: s.For) -> A:
    flows.bind(e.pattern, flows.expr(e.over).args[0])
    return flows.measure(A("array", (flows.expr(e.body).args[0],)))


def comprehension(flows: Flows, e: s.Comprehension) -> A:
    flows.bind(e.pattern, flows.expr(e.over).args[0])
    if e.guard is not None:
        flows.expr(e.guard)
    return A("array", (flows.expr(e.item),))


def scan(flows: Flows, e: s.Scan) -> A:
    word = "scan" if e.keep == "all" else "fold"
    init = flows.expr(e.init)
    item = flows.expr(e.over).args[0]
    carry = flows.graph.fresh(flows.shape(e.init))
    flows.flow(init, carry, f"the first carry of `{word}`", e.init)
    flows.bind(e.carry, carry)
    flows.bind(e.pattern, item)
    return _loop(flows, e.body, carry, word, e.keep == "all")


def iterate(flows: Flows, e: s.Iterate) -> A:
    init = flows.expr(e.init)
    if e.limit is not None:
        flows.bound(flows.expr(e.limit), atoms.NAT, "the limit of `iterate`", e.limit)
    carry = flows.graph.fresh(flows.shape(e.init))
    flows.flow(init, carry, "the first carry of `iterate`", e.init)
    flows.bind(e.carry, carry)
    flows.expr(e.until)
    return _loop(flows, e.body, carry, "iterate", False)


def _loop(flows: Flows, block: s.Block, carry: A, word: str, keep_all: bool) -> A:
    body = flows.expr(block)
    run = _depth(body) > _depth(carry)  # the carry may be a measure itself
    step = body.args[0] if run else body
    flows.flow(step, carry, f"the next carry of `{word}`", tail(block))
    out = A("array", (carry,)) if keep_all else carry
    return flows.measure(out) if run else out


def _depth(a: A) -> int:
    """How many measures stand one in another."""
    return 1 + _depth(a.args[0]) if a.head == "measure" else 0
