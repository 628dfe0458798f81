"""Kinds and ranges of numbers, and supports."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E401": Code(
        "a number of too wide a range",
        """
Numbers have a range: `prob` [0, 1], `pos` at least 0, `real` any. What may be negative is refused
where a scale or a rate is needed; the reasons show where the sign was lost. From `pos` to `prob`
and from `int` to `nat` a check is inserted.

    s ~ normal(0, 1)
    y ~ normal(0, s)              # or s ~ half_normal(1)
    y ~ normal(0, exp(s))
""",
    ),
    "E402": Code(
        "a real number where an integer is needed",
        """
Counts and indices are whole numbers. Division always gives a real number; `//` stays within the
integers.

    let half = xs[n / 2]
    let half = xs[n // 2]
""",
    ),
    "E403": Code(
        "an observation that the distribution never draws",
        """
A real number has probability 0 under a distribution over integers.

    model m(y: [real]) { observe y ~ poisson(3) }
    model m(y: [nat]) { observe y ~ poisson(3) }
""",
    ),
    "E404": Code(
        "a scale of zero",
        """
`pos` includes 0, but a distribution whose scale is 0 has no density.

    x ~ normal(0, 0)
    x ~ dirac(0)
""",
    ),
    "E406": Code(
        "a measure without a density",
        """
`observe` needs a density, and so do `mixture`, `truncate` and the like. Programs with effects are
measures, whose density is not known in general; primitives such as `normal` are distributions
(`dist`).

    observe y ~ some_model(1)
    mu ~ some_model(1)
    observe y ~ normal(mu, 1)

A law of whole numbers and one of real numbers have no density in common: one counts, the other
measures lengths. Together they are a measure of real numbers, from which one can draw.

    let d = if late { normal(0, 1) } else { poisson(3) }
    observe y ~ d
    if late { observe y ~ normal(0, 1) } else { observe n ~ poisson(3) }
""",
    ),
}
