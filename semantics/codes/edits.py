"""Holes in data, interventions and conditioning."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E850": Code(
        "a missing value that cannot be drawn",
        """
Methods that draw (importance sampling, prior and predictive simulation) draw a missing value from
the distribution it is observed under. So it must be observed before anything else uses it, in every
arm of a branch, element by element: in a loop over the data, or under a distribution whose elements
are independent. Gradient methods treat missing numbers as parameters, and take any program.

    for i in range(1, len(y)) { observe y[i] ~ normal(phi * y[i - 1], s) }
    _ ~ scan last = y[0] for v in y[1:] { observe v ~ normal(phi * last, s); return v }
""",
    ),
    "E851": Code(
        "a missing value with infinitely many values to sum out",
        """
Gradient methods and `exact` sum missing booleans and whole numbers out, which takes finitely many
values. Observe them under a law that has a bound, or draw them: importance sampling needs none.

    for n in counts { observe n ~ poisson(rate) }
    for n in counts { observe n ~ binomial(50, rate / 50) }
""",
    ),
    "E852": Code(
        "a missing value that decides a size",
        """
Sizes are part of the compiled program, so what is used in `range(n)`, `iid(n, d)` or the ends of
slices has to be there. `len(y)` of data with holes is known.

    model m(n: nat?) { x ~ for _ in range(n) { normal(0, 1) }; return x }
    model m(y: [real?]) { x ~ for _ in y { normal(0, 1) }; return x }
""",
    ),
    "E853": Code(
        "a missing value of a type that cannot be inferred",
        """
Numbers and booleans may be missing, in arrays, tuples and records too: each is a random variable of
its own. Texts, functions and whole arrays have no measure that they could be drawn from.

    model m(names: [text?], y: [real]) { … }
    model m(names: [text], y: [real?]) { … }
""",
    ),
    "E854": Code(
        "missing elements of an array that is observed as a whole",
        """
To draw some elements of a vector under a joint law, such as `multi_normal`, a method would need
their law given the others. Gradient methods need no such law. Else write each element's law given
those before it, or observe elements that are independent one by one.

    observe row ~ multi_normal(m, cov)
    for (v, m_, s) in zip(row, m, sd) { observe v ~ normal(m_, s) }
""",
    ),
    "E855": Code(
        "no site of that name to set",
        """
`target.do` and `target.given` set names by their paths, as results show them: the names that `~`
binds on the way, then the site's own. Elements stand in brackets. Data are no sites: give the model
other data.

    model(y=y).do(thetta=1)            # wrong
    model(y=y).do(y=1)                 # wrong: y is data
    model(y=y).do({"theta[3]": 1})     # right
""",
    ),
    "E856": Code(
        "a value that does not fit the name that it is given to",
        """
A value that is set has the kind and the shape of what its name holds; one number stands for every
element of an array. Of records and functions, the names inside are set.

    target.do(tau="large")               # wrong
    target.do(theta=[1, 2])              # wrong, if theta has three elements
    target.do(tau=2, theta=[1, 2, 3])    # right
    target.do(theta=0)                   # right: all three
""",
    ),
    "E857": Code(
        "a value outside the range of the name that it is given to",
        """
Interventions and conditions keep to what a name can hold: its type (`pos` is at least 0, `prob`
between 0 and 1), and the values of a discrete law.

    tau ~ half_normal(1)
    target.do(tau=-1)     # wrong
    target.do(tau=2)      # right
""",
    ),
    "E858": Code(
        "a name that cannot be set in this way",
        """
Conditioning scores a value by the density of its site, which names that are computed do not have.
Elements can be set one by one where they are drawn independently (`for`, `iid`, `normal(a, b)` of
arrays), not where one law draws them together. A name is conditioned or intervened on, not both.

    a ~ { z ~ normal(0, 1); return 2 * z }
    x ~ multi_normal(m, s)
    target.given(a=1)                  # wrong: its density is not known
    target.given({"a/z": 0.5})         # right
    target.do({"x[0]": 1})             # wrong
    target.do(x=[1, 0.3])              # right: all of it
""",
    ),
    "E859": Code(
        "a choice that cannot be set, or whose noise cannot be kept",
        """
In loops and recursion without a bound the number of choices is known when the program runs, and
compiled programs keep no place for each. Such names are set on the machine, which methods that
follow gradients cannot use: give the loop a bound, or set what it is bound to. The noise of what
was drawn for holes in the data is not kept, either, for `ppl.counterfactual`.

    n ~ iterate k = 0 until k > 5 { s ~ bernoulli(p); return k + (if s { 2 } else { 1 }) }
    ppl.infer(target.do({"n/s[0]": True}), "nuts")            # wrong
    ppl.infer(target.do({"n/s[0]": True}), "importance")      # right: on the machine
    ppl.infer(target.do(n=6), "nuts")                         # right
    n ~ iterate k = 0 until k > 5 max 6 { … }       # right: has six choices `n/s`
""",
    ),
}
