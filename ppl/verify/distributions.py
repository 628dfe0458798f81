"""Typed generation of distributions, whose probabilities are fractions of distinct primes."""

from __future__ import annotations

from ppl.verify.choices import Env, Text
from ppl.verify.finite_types import Array, Bool, Dist, Nat, Prob, Type
from ppl.verify.terms import Terms
from ppl.verify.text import operand


class Laws(Terms):
    """Generation of distributions."""

    #: whether what is made now is inside of a nested inference
    inside = False

    def weights(self, n: int, env: Env, size: int, *, zero: bool = False) -> str:
        """n probabilities, with one of them 0 if asked; all others positive."""
        positive = n - zero
        prime = max(self.prime(), 5 if positive < 5 else 7)
        numerators, left = [], prime
        for k in range(positive - 1, 0, -1):
            numerators.append(self.integer(1, left - k))
            left -= numerators[-1]
        if positive in (2, 3) and size > 0 and self.flip(3):
            p = operand(self.expr(Prob(), env, 0))
            rest = self.prime()
            share = self.integer(1, rest - 1)
            both = [f" * ({x})" for x in self.shares(share, rest - share)]
            parts = [p, *(f"(1 - {p}){x}" for x in (both if positive == 3 else [""]))]
        else:
            parts = self.shares(*numerators, left)
        if zero:
            parts.insert(self.integer(0, positive), "0")
        return f"[{', '.join(parts)}]"

    def distribution(self, t: Dist, env: Env, size: int) -> str:
        """A distribution made on the spot."""
        ways: list[tuple[int, Text]] = []
        item, options = t.item, t.options
        if item == Bool() and options >= 2:
            ways.append((4, lambda: f"bernoulli({self.expr(Prob(), env, size)})"))
        if isinstance(item, Nat) and options >= item.size:
            ways.append((4, lambda: f"categorical({self.weights(item.size, env, size)})"))
            if self.on("binomial"):
                ways.append((1, lambda: self.binomial(item.size - 1, env, size)))
        if isinstance(item, Nat) and item.size >= 3 and options >= item.size - 1 and not t.full:
            if self.on("zero_probability"):
                ways.append(
                    (1, lambda: f"categorical({self.weights(item.size, env, 0, zero=True)})")
                )
            if self.on("truncate"):
                ways.append((1, lambda: self.truncation(item.size, env, size)))
        if self.on("mixture") and size > 0 and options >= 2:
            ways.append((1, lambda: self.mixture(t, env, size - 1)))
        if self.on("nested") and size >= 0 and options >= 2 and not (t.full or self.inside):
            ways.append((1, lambda: self.nested(t, env, size)))
        if self.on("iid") and isinstance(item, Array) and options >= 2**item.length and not t.full:
            each = Dist(item.item, int(options ** (1 / item.length) + 1e-9))
            if self.drawable(each):
                ways.append((3, lambda: f"iid({item.length}, {self.expr(each, env, size - 1)})"))
        if not t.full and (not ways or self.on("dirac")):
            ways.append((1, lambda: f"dirac({self.expr(item, env, size - 1)})"))
        return self.pick(ways)

    def binomial(self, n: int, env: Env, size: int) -> str:
        p = self.expr(Prob(), env, size - 1) if size > 0 else self.fraction()
        return f"binomial({n}, {p})"

    def nested(self, t: Dist, env: Env, size: int) -> str:
        """The law of a measure, by inference inside the program."""
        self.inside = True
        text, _ = self.block(t.item, env, max(size - 1, 0), min(t.options, 4))
        self.inside = False
        return f"normalize({text}, exact)"

    def block(self, item: Type, env: Env, size: int, paths: int) -> tuple[str, int]:
        """The text of a block, and a bound on its paths; `Blocks` makes it."""
        raise NotImplementedError

    def truncation(self, n: int, env: Env, size: int) -> str:
        """A distribution on 1, …, n - 1."""
        if self.on("binomial"):
            whole = self.binomial(n - 1, env, size)
        else:
            whole = f"categorical({self.weights(n, env, size - 1)})"
        return f"truncate({whole}, lower=1)"

    def drawable(self, t: Dist) -> bool:
        """Whether a distribution of that type other than a Dirac can be made."""
        match t.item:
            case Bool():
                return t.options >= 2
            case Nat(n):
                return t.options >= n
            case _:
                return False

    def mixture(self, t: Dist, env: Env, size: int) -> str:
        return f"mixture({self.weights(3, env, size)}, {self.array(t, 3, env, size)})"
