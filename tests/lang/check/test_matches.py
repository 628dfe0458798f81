"""Which values arms cover, and which arms are reached, against all values and patterns of a type."""

from __future__ import annotations

import random

VALUES = ["A", "B(false)", "B(true)", "C(A)", "C(B(false))", "C(B(true))", "C(C(A))"]
PATTERNS = [
    "_",
    "A",
    "B(_)",
    "B(true)",
    "B(false)",
    "C(_)",
    "C(A)",
    "C(B(_))",
    "C(B(true))",
    "C(C(_))",
]


def fits(pattern: str, value: str) -> bool:
    if pattern == "_":
        return True
    if "(" not in pattern:
        return pattern == value
    return value.startswith(pattern[:2]) and fits(pattern[2:-1], value[2:-1])


def test_arms_that_are_covered_by_those_before_are_warned_of_and_no_others(checked):
    """40 matches of pairs; a guard covers nothing."""
    draw = random.Random(7)
    pairs = [(v, b) for v in VALUES for b in ("true", "false")]
    met = set()
    for _ in range(40):
        arms = [
            (draw.choice(PATTERNS), draw.choice(["_", "true", "false"]), draw.random() < 0.2)
            for _ in range(6)
        ]
        lines = [
            f"  ({p}, {q}){' if n > 2' if guard else ''} => {i},"
            for i, (p, q, guard) in enumerate(arms)
        ]
        text = "\n".join(
            [
                "type t = A | B(bool) | C(t)",
                "fn f(v: t, b: bool, n: nat) { match (v, b) {",
                *lines,
                "} }",
            ]
        )
        found = checked(text).diagnostics
        left, dead = list(pairs), []
        for i, (p, q, guard) in enumerate(arms):
            taken = [x for x in left if fits(p, x[0]) and q in ("_", x[1])]
            if not taken:
                dead.append(i + 3)
            elif not guard:
                left = [x for x in left if x not in taken]
        starts = [d.span.start for d in found if d.code == "W301" and d.span is not None]
        warned = [text[:start].count("\n") + 1 for start in starts]
        assert warned == dead, text
        assert ("E317" in [d.code for d in found]) == bool(left), text
        met |= {f"{len(dead)} dead", f"left: {bool(left)}"}
    assert {"0 dead", "1 dead", "2 dead", "left: True", "left: False"} <= met
