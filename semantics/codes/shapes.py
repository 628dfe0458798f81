"""The shapes of types."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E301": Code(
        "two types that differ",
        """
An expression has one shape, and its place needs another. The reasons name the place.

    let x = if c { 1 } else { "one" }
    let x = if c { 1 } else { 2 }
""",
    ),
    "E302": Code(
        "arrays of different shapes",
        """
Arithmetic, elementary functions and distributions work elementwise. A scalar goes with any array;
two arrays must have equal shapes. Products with a matrix are written `@`.

    let mu = X * beta        # X: [[real]], beta: [real]
    let mu = X @ beta
""",
    ),
    "E303": Code(
        "an argument of the wrong kind",
        """
A primitive takes numbers, or truth values, or arrays of them.

    let n = 1 + (x > 0)
    let n = 1 + indicator(x > 0)
""",
    ),
    "E304": Code(
        "a reduction of a single value",
        """
`sum`, `mean`, `min`, … reduce an array of any rank to one value.

    let s = sum(1)
    let s = sum([1, 2, 3])
""",
    ),
    "E305": Code(
        "values that cannot be compared",
        """
`==` compares numbers, truth values, texts, tuples, records and inductive values. Whether two
functions or two measures are equal cannot be decided.

    let same = normal(0, 1) == normal(0, 2)
    let same = sigma1 == sigma2
""",
    ),
    "E306": Code(
        "an unknown field",
        """
Records have the fields they were made with, and tuples `.0`, `.1`, …. Arrays have no methods: the
length of `xs` is `len(xs)`.

    let n = xs.length
    let n = len(xs)
""",
    ),
    "E307": Code(
        "a field of a value of unknown type",
        """
Fields are looked up once it is known which record is meant. Where nothing says so, its type has
to be written.

    let f = fn (r) => r.mu
    let f = fn (r: {mu: real}) => r.mu
""",
    ),
    "E308": Code(
        "an index into what is no array",
        """
`x[i]` is element i of an array, counted from 0, and `X[i, j]` an element of an array of arrays.
Parts of a tuple are written `t.0`.

    let first = pair[0]
    let first = pair.0
""",
    ),
    "E309": Code(
        "a pattern that does not fit",
        """
A pattern has as many parts as the value it takes apart.

    let (a, b) = (1, 2, 3)
    let (a, b, c) = (1, 2, 3)
""",
    ),
    "E310": Code(
        "a named argument for a function value",
        """
Parameters of top-level functions and primitives have names that a call may use. A function that
is a value is known by its type only, which has no names.

    f ~ line()
    let v = f(x = 1)     # f(1)
""",
    ),
    "E311": Code(
        "a call of what is no function",
        """
Only functions can be called. A variable hides the function of its name.

    gamma ~ beta(1, 1)
    x ~ gamma(2, 1)       # gamma is a number here: name it g
""",
    ),
    "E312": Code(
        "the wrong number of arguments",
        """
A function takes as many arguments as it has parameters, those with a default aside.

    x ~ normal(0)
    x ~ normal(0, 1)
""",
    ),
    "E313": Code(
        "an unknown or doubled named argument",
        """
`f(a = 1)` gives the parameter `a`. Each is given once.

    x ~ normal(mu = 0, sd = 1)
    x ~ normal(mu = 0, sigma = 1)
""",
    ),
    "E314": Code(
        "a primitive that is no value",
        """
The type of `zip` and of `normalize` depends on how they are called, so they are called directly.

    let f = zip
    let f = fn (a, b) => zip(a, b)
""",
    ),
    "E315": Code(
        "a function used at endlessly many types",
        """
A function that calls itself at ever larger types needs its type written, so that it can be
checked once.

    fn depth(x) { depth([x]) }
    fn depth(x: real) -> real { x }
""",
    ),
    "E316": Code(
        "a type that contains itself",
        """
Types are finite: no array is its own element, and no function its own argument.

    fn f(x) { x(x) }
    fn f(g, x) { g(x) }
""",
    ),
    "E317": Code(
        "a `match` that does not cover all values",
        """
Arms are tried in order, and one of them must fit. The message shows a value that none does. Arms
with a guard do not count.

    match t { Leaf(x) => x }
    match t { Leaf(x) => x, Node(l, r) => 0 }
""",
    ),
    "E318": Code(
        "a `match` that is too large to check",
        """
With very many columns of patterns, covering cannot be decided in reasonable time. A last arm `_`
settles it.

    match many { (A, B, A, …) => 1, … }
    match many { (A, B, A, …) => 1, …, _ => 0 }
""",
    ),
    "E319": Code(
        "an index out of range",
        """
Indices go from 0 to the length less one; `x[-1]` is the last element. Out of range in a written
array is an error at once, elsewhere when the program runs.

    let x = [1, 2, 3][3]
    let x = [1, 2, 3][2]
""",
    ),
    "E320": Code(
        "an unknown way to normalise",
        """
`normalize(m, exact)` runs all paths of a finite measure; the result is a distribution, which can be
observed. `normalize(m, importance(n))` is one of n executions, chosen by weight, and
`normalize(m, rejection)` the first that is accepted: they are measures, and can be drawn from.

    p ~ normalize(m, exactly)
    p ~ normalize(m, exact)
    p ~ normalize(m, importance(100))
""",
    ),
    "E390": Code(
        "types that nest too deeply",
        """
The types of values built up over very many lines can grow without bound.

    let a1 = (a0, a0)
    let a2 = (a1, a1)        # and so on, a thousand times
""",
    ),
}
