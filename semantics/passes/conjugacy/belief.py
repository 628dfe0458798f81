"""The joint normal law of a few numbers, as code that computes it: conditioned, mapped, drawn from.

All arithmetic is on single covariances, unrolled.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import bind, returned
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes.conjugacy.build import (
    ONE,
    ZERO,
    as_type,
    is_zero,
    minus,
    number,
    op,
    over,
    plus,
    times,
)

#: variances below this share of what they are computed from are nothing but rounding
ROUNDING = number(1e-12)

Slopes = list[ir.Value]


class Belief:
    """The joint normal law of some numbers, as code: `mean` and `cov` of values, which are bound
    in `binds`; `shift` is what observations have added to the means that values were computed at.
    """

    def __init__(self, fresh: Fresh, binds: list[ir.Bind]):
        self.fresh, self.binds = fresh, binds
        self.cov: list[list[ir.Value]] = []
        self.shift: list[ir.Value] = []

    def let(self, v: ir.Value, name: str = "c") -> ir.Value:
        """The value, computed once."""
        if isinstance(v, (ir.Lit, ir.Var)):
            return v
        return bind(self.binds, self.fresh.name(name), returned(v))

    def add(self, row: Sequence[ir.Value], var: ir.Value) -> None:
        """Another number, of these covariances with those before, and this variance."""
        for old, c in zip(self.cov, row, strict=True):
            old.append(c)
        self.cov.append([*row, var])
        self.shift.append(ZERO)

    def against(self, slopes: Slopes) -> list[ir.Value]:
        """Covariances of Σ slope x with each number."""
        return [self.let(dot(slopes, row[: len(slopes)])) for row in self.cov]

    def condition(self, slopes: Slopes, gap: ir.Value, noise: ir.Value | None, on: ir.Value | None):
        """What has been seen of Σ slope x + noise: by how much more than expected at first, `gap`.
        Gives its mean's shift so far and its variance. Without noise, nothing is done where there
        is no variance, or `on` does not hold."""
        shift = self.let(dot(slopes, self.shift))
        row = self.against(slopes)
        own = dot(slopes, row)
        var = self.let(own if noise is None else plus(own, op("square", noise)), "variance")
        if noise is None:
            most = dot([op("square", s) for s in slopes], [r[i] for i, r in enumerate(self.cov)])
            sound = op("gt", var, times(ROUNDING, most))
            sound = sound if on is None else op("and", on, sound)
            per = self.choose(sound, over(ONE, var), ZERO)
        else:
            per = over(ONE, var)
        per = self.let(per, "per")
        gain = [self.let(times(r, per), "gain") for r in row]
        left = self.let(minus(gap, shift), "gap")
        self.shift = [
            self.let(plus(s, times(g, left))) for s, g in zip(self.shift, gain, strict=True)
        ]
        n = len(self.cov)
        new: list[list[ir.Value]] = [list(row) for row in self.cov]
        for i in range(n):
            for j in range(i + 1):
                new[i][j] = new[j][i] = self.let(minus(self.cov[i][j], times(gain[i], row[j])))
        self.cov = new
        return shift, var

    def choose(self, c: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
        arms = (returned(as_type(x, T.REAL)) for x in (a, b))
        return bind(self.binds, self.fresh.name("chosen"), ir.If(T.REAL, c, *arms))

    def image(self, rows: Sequence[Slopes]) -> list[list[ir.Value]]:
        """The covariances of several sums Σ slope x."""
        against = [self.against(r) for r in rows]
        return [[self.let(dot(a, s)) for s in rows] for a in against]

    def drawn(self, noise: Sequence[ir.Value]) -> list[ir.Value]:
        """What the shifts become if the numbers are drawn, with standard normals `noise`."""
        n = len(self.cov)
        low: list[list[ir.Value]] = [[ZERO] * n for _ in range(n)]
        for j in range(n):
            var = self.let(minus(self.cov[j][j], dot(low[j][:j], low[j][:j])), "left")
            sound = self.let(op("gt", var, times(ROUNDING, self.cov[j][j])))
            root = self.choose(sound, op("sqrt", op("abs", var)), ZERO)
            per = self.choose(sound, over(ONE, root), ZERO)
            low[j][j] = root
            for i in range(j + 1, n):
                rest = minus(self.cov[i][j], dot(low[i][:j], low[j][:j]))
                low[i][j] = self.let(times(rest, per))
        return [
            self.let(plus(s, dot(low[i][: i + 1], list(noise[: i + 1]))))
            for i, s in enumerate(self.shift)
        ]


def dot(a: Sequence[ir.Value], b: Sequence[ir.Value]) -> ir.Value:
    """Σ a b, without terms that are 0."""
    out: ir.Value = ZERO
    for x, y in zip(a, b, strict=True):
        if not (is_zero(x) or is_zero(y)):
            out = plus(out, times(x, y))
    return out
