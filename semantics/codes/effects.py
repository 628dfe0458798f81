"""Effects, and the names of sites."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E501": Code(
        "a measure used as a value",
        """
`normal(0, 1)` is a distribution, not a number. `~` draws from it.

    let y = normal(0, 1) + 3
    x ~ normal(0, 1)
    let y = x + 3
""",
    ),
    "E502": Code(
        "no measure on the right of `~`",
        """
`~` runs a measure and binds what it draws. A value is bound with `let`.

    x ~ 3 + 4
    let x = 3 + 4
""",
    ),
    "E503": Code(
        "a block with effects that ends in a value",
        """
A block that draws or observes is a measure, so its end must be one: `return e` gives `e` with
certainty.

    { x ~ normal(0, 1); x }
    { x ~ normal(0, 1); return x }
""",
    ),
    "E504": Code(
        "an early `return`",
        """
`return` gives the value of its own block and stands at its end. It does not leave a function.

    if x < 0 { return 0 }
    return sqrt(x)

    if x < 0 { return 0 } else { return sqrt(x) }
""",
    ),
    "E505": Code(
        "a site that is drawn twice",
        """
Sites are named by the variable they bind, so a block draws each name once.

    x ~ normal(0, 1)
    x ~ normal(x, 1)          # x2 ~ normal(x, 1)
""",
    ),
    "E506": Code(
        "data that are drawn",
        """
A parameter of a model is data. What it is compared with is written with `observe`.

    model m(y: real) { mu ~ normal(0, 1); y ~ normal(mu, 1); return mu }
    model m(y: real) { mu ~ normal(0, 1); observe y ~ normal(mu, 1); return mu }
""",
    ),
    "E507": Code(
        "`param` outside a guide",
        """
Learnable parameters belong to guides. In a model an unknown quantity has a prior.

    model m() { param s: pos = 1.0 … }
    model m() { s ~ half_normal(1) … }
""",
    ),
    "E508": Code(
        "a statement without effect",
        """
An expression that stands as a statement is run, so it must be a measure. The value of any other
would be lost.

    x + 1
    let z = x + 1
""",
    ),
    "E509": Code(
        "a value where a measure is needed",
        """
Models, guides, `normalize` and `.do` work on measures. `return e` makes one of a value.

    model m(y: real) { y + 1 }
    model m(y: real) { return y + 1 }
""",
    ),
    "E510": Code(
        "an effect in a function that is declared pure",
        """
The declared result says that the function gives a value, but its body draws or observes: it gives
a measure.

    fn f(m: real) -> real { x ~ normal(m, 1); return x }
    fn f(m: real) -> measure[real] { x ~ normal(m, 1); return x }
""",
    ),
    "E511": Code(
        "a value in a branch without `else`",
        """
`if` without `else` is a statement: its branch is run for its effect. As a value it needs both
branches.

    let a = if x < 0 { -x }
    let a = if x < 0 { -x } else { x }
""",
    ),
    "E512": Code(
        "a `for` without effects",
        """
`for` runs its body: a measure for each element. Values are collected by a comprehension.

    let squares = for x in xs { x ^ 2 }
    let squares = [x ^ 2 for x in xs]
""",
    ),
    "E513": Code(
        "an unknown gradient strategy",
        """
`by` says how gradients pass a draw: `reparam`, `implicit`, `reinforce`, `enum`, `mvd`, `disarm`,
`arms`, or `baseline(strategy, value)`.

    x ~ normal(m, s) by reparametrise
    x ~ normal(m, s) by reparam
""",
    ),
    "E514": Code(
        "a guide that misses a site",
        """
A guide proposes every latent variable of its model, under the same names. Further ones are
auxiliary.

    model m() { x ~ normal(0, 1); y ~ normal(x, 1); return y }
    guide g() for m { x ~ normal(0, 2); return x }                  # y is missing
""",
    ),
    "E515": Code(
        "a guide that misses values",
        """
A guide has to be able to draw whatever its model can: where it cannot, the model's mass is lost.

    model m(y: real) { x ~ normal(0, 1); observe y ~ normal(x, 1); return x }
    guide g() for m { x ~ gamma(2, 1); return x }                   # never negative
    guide g() for m { x ~ normal(0, 2); return x }
""",
    ),
    "E516": Code(
        "a gradient strategy that a law does not have",
        """
`reparam` and `implicit` move what is drawn with the parameters, so it must be a real number; `enum`
sums over all values, so there must be finitely many. `reinforce` needs nothing.

    k ~ bernoulli(p) by reparam
    k ~ bernoulli(p) by enum
    n ~ poisson(rate) by reinforce
""",
    ),
    "E517": Code(
        "a gradient through a value that decides something",
        """
A gradient by `reparam` follows the value that is drawn, and sees nothing of jumps: of which branch
is taken, of comparisons and of rounding. It would be wrong by what they contribute.

    x ~ normal(m, s) by reparam
    let level = if x > 0 { a } else { b }         # in the model: jumps at 0
    x ~ normal(m, s) by reinforce                 # right, whatever is done with x
""",
    ),
}
