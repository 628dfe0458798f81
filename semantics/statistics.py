"""What numbers are asked for that they do not have: a mean of none, a quotient by zero.

Sums, products, extrema and `logsumexp` of no numbers are what leaves others as they are (0, 1,
infinities). A mean of none is no number, nor is a variance of one: a NaN would surface far away.
"""

from __future__ import annotations

#: how to be safe where a divisor may be zero
BY_ZERO = "test the divisor first: `if k > 0 { n // k } else { … }`; real numbers give an infinity"
NEEDED = {"mean": 1, "var": 2, "sd": 2}


def too_few(op: str, n: int) -> str | None:
    """What to say of a statistic of n numbers, if it needs more."""
    if n >= NEEDED.get(op, 0):
        return None
    least = "a number" if NEEDED[op] == 1 else f"{NEEDED[op]} numbers"
    return f"`{op}` needs {least} at least, and the array has {n or 'none'}"


def tested(op: str) -> str:
    """How to be safe."""
    return f"test the length first: `if len(xs) > {NEEDED[op] - 1} {{ {op}(xs) }} else {{ … }}`"
