"""Every diagnostic code: a title and what `ppl explain CODE` says.

E0xx text and limits · E1xx syntax · E2xx names · E3xx shapes of types · E4xx numbers and supports
E5xx effects and sites · E6xx data · E7xx running · E8xx inference · W… warnings, numbered alike.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """`page` is prose with an example that goes wrong and one that is right."""

    title: str
    page: str


CODES: dict[str, Code] = {
    "E001": Code(
        "a character that no program has",
        """
Programs are made of letters of any alphabet, digits, `_`, operators, brackets and texts in double
quotes. Operators are written in plain characters; anything may stand in a comment.

    let ok = x ≤ 3
    let ok = x <= 3
""",
    ),
    "E002": Code(
        "a text that does not end",
        r"""
A text is written in double quotes on one line. A line break within it is `\n`, a quote `\"`.

    let prompt = "Once upon a time
    let prompt = "Once upon a time\n"
""",
    ),
    "E003": Code(
        "not a number, or out of range",
        """
Numbers are decimal; `_` may separate digits; a real number has digits on both sides of its point,
or an exponent. Integers have 64 bits and reals double precision: a literal that would overflow or
be rounded to zero is refused.

    let n = 1__000
    let n = 1_000
""",
    ),
    "E004": Code(
        "nested too deeply",
        """
At most 200 expressions are nested in each other, and at most 200 brackets. Long sums and products,
too, are nested: each operator holds all that is left of it.

    let total = x1 + x2 + x3 + …            # a thousand of them
    let total = sum([x1, x2, x3, …])
""",
    ),
    "E005": Code(
        "a file that is too large",
        """
A program has at most 250,000 characters, some 6,000 lines. It holds the model; the data are its
parameters.

    model m() { let y = [1.2, 3.4, …] … }    # a data set within the program
    model m(y: [real]) { … }
""",
    ),
    "E006": Code(
        "a backslash that means nothing",
        r"""
In a text, `\n`, `\t`, `\r`, `\"`, `\\` and `\u{1F600}` stand for a line break, a tab, a carriage
return, a quote, a backslash and the character of that number.

    let path = "C:\data"
    let path = "C:\\data"
""",
    ),
    "E007": Code(
        "a model file that cannot be read",
        """
The file is not there, or may not be read, or is not text in UTF-8. Older editors write other
encodings, in which letters with accents are other bytes.

    iconv -f latin1 -t utf-8 old.ppl > model.ppl      # right: as UTF-8
""",
    ),
    "E101": Code(
        "this cannot stand here",
        """
The text is not a program from this place on. The message lists what could follow.

    let x 3
    let x = 3
""",
    ),
    "E102": Code(
        "brackets that do not match",
        """
A bracket is closed by its own kind, innermost first. The place where it was opened is shown.

    x ~ normal(0, max(1, s]
    x ~ normal(0, max(1, s))
""",
    ),
    "E103": Code(
        "an operator of another language",
        """
Powers are written `^`, the logical operators `and`, `or`, `not`; nothing is ever assigned, so there
is no `+=`.

    let area = pi * r ** 2
    let area = pi * r ^ 2
""",
    ),
    "E104": Code(
        "an assignment",
        """
A name is bound once: by `let` to a value, by `~` to a draw. A state that changes is carried by a
loop: `scan`, `fold` or `iterate`. Equality is `==`.

    s = 3
    let s = 3
""",
    ),
    "E105": Code(
        "a condition after its value",
        """
A choice begins with `if`, and both values stand in braces.

    let s = 1 if big else 2
    let s = if big { 1 } else { 2 }
""",
    ),
    "E106": Code(
        "comparisons that chain",
        """
A comparison gives a truth value, which is not compared again.

    condition 0 < x < 1
    condition 0 < x and x < 1
""",
    ),
    "E107": Code(
        "where a block begins",
        """
A block stands in braces, and `{` on the line of what it belongs to: a line that could be a whole
statement is one.

    if x > 0
    { return x } else { return -x }

    if x > 0 { return x } else { return -x }
""",
    ),
    "E108": Code(
        "a statement that begins with `-`",
        """
It might continue the line before. An operator at the end of a line continues it for certain, and
brackets begin anew.

    let d = a
      - b

    let d = a -
      b
""",
    ),
    "E109": Code(
        "the left of `~` is not a pattern",
        """
`~` draws and binds: on its left stands a name, or a tuple or record of names. Data are scored by
`observe`; an array of draws is drawn as a whole by `for`.

    y[i] ~ normal(mu, s)
    observe y[i] ~ normal(mu, s)
""",
    ),
    "E110": Code(
        "a value where a name is bound",
        """
Only an arm of `match` may ask for a certain value, since it may be another.

    let (1, x) = pair
    let (one, x) = pair
""",
    ),
    "E111": Code(
        "given twice",
        """
A record has one field, a call one argument, a declaration one type parameter of a name.

    x ~ normal(mu=0, mu=1)
    x ~ normal(mu=0, sigma=1)
""",
    ),
    "E112": Code(
        "an argument without a name after one with a name",
        """
Arguments without names are told apart by their places, so they come first.

    x ~ normal(mu=0, 1)
    x ~ normal(0, sigma=1)
""",
    ),
    "E113": Code(
        "a constructor begins with a capital letter",
        """
That is how a pattern tells a constructor from a name that it binds.

    type shape = circle(pos) | square(pos)
    type shape = Circle(pos) | Square(pos)
""",
    ),
    "E114": Code(
        "`_` has no value",
        """
`_` stands in a pattern for a part that is not used.

    _ ~ normal(0, 1); return _
    x ~ normal(0, 1); return x
""",
    ),
    "E115": Code(
        "an imported module's name is taken",
        """
An imported module goes by one name in the file, which nothing else at its top level may have.
Variables inside functions may: they hide the module there.

    import "shapes.ppl" as shapes
    fn shapes(n) { … }
    fn many_shapes(n) { … }
""",
    ),
    "E116": Code(
        "a module does not have that name",
        """
After the dot stands a function, a model, a type or a constructor of the imported file, as it is
written there.

    import lists
    fn f(xs) { lists.size(xs) }
    fn f(xs) { lists.length(xs) }
""",
    ),
    "E117": Code(
        "a module is no value",
        """
A module is a set of names, not a value: it cannot be passed, returned or kept. Its functions can.

    import lists
    fn f(xs) { lists }
    fn f(xs) { lists.map(exp, xs) }
""",
    ),
    "E118": Code(
        "an unknown module",
        """
What stands before the dot of a type or pattern is the name of an imported module.

    fn f(xs: list.list[real]) { … }

    import lists
    fn f(xs: lists.list[real]) { … }
""",
    ),
    "E120": Code(
        "an intervention inside a program",
        """
Interventions are said of a whole program, where its sites have their names: in Python,
`target.do(x=1)`. Inside a program, a function takes what is to be set as an argument.

    fn m() { x ~ normal(0, 1); y ~ normal(x, 1); return y }
    model seen() { y ~ m().do(x = 1); return y }

    fn m(x) { y ~ normal(x, 1); return y }
    model seen() { y ~ m(1); return y }
""",
    ),
    "E121": Code(
        "a declaration",
        """
Variables are not declared before they have a value: `let` names a value, `~` a draw, and data are
the parameters of a model. Types are inferred.

    real<lower=0> sigma; sigma ~ normal(0, 1)

    sigma ~ half_normal(1)
""",
    ),
    "E090": Code(
        "an imported file that cannot be read",
        """
The path of an import is relative to the folder of the file that it stands in. The file is not
there, may not be read, or is no regular file.

    import "shape.ppl" as shapes
    import "shapes.ppl" as shapes
""",
    ),
    "E091": Code(
        "an import that leads out of the program's folder",
        """
A program reads model files in the folder of its own file and below, and nothing else: paths are
relative, written with `/`, end in `.ppl`, and neither `..` nor a symbolic link leads outside. So a
program that came from somewhere can be run without reading first what it imports.

    import "../../shared/shapes.ppl" as shapes
    import "shared/shapes.ppl" as shapes         # with the file copied there
""",
    ),
    "E092": Code(
        "files that import each other",
        """
A file is checked after all that it imports, so no file may import itself, directly or through
others. What two files need goes into a third.

    import "b.ppl" as b                  # in a.ppl, while b.ppl imports a.ppl
    import "common.ppl" as common        # in both
""",
    ),
    "E093": Code(
        "too much is imported",
        """
A program imports at most 100 files of 1,000,000 characters together. Programs are models, and
models are short; data are read with `--data`.

    import "generated/part_000.ppl" as part_000        # … and 999 more
    import "parts.ppl" as parts
""",
    ),
    "E094": Code(
        "files imported by a text",
        """
A text given to `ppl.compile` has no folder, so that it can import modules of the standard library
but no files, unless the folder is given.

    ppl.compile('import "shapes.ppl" as shapes …')
    ppl.compile('import "shapes.ppl" as shapes …', folder="models")
""",
    ),
    "E095": Code(
        "an unknown module of the standard library",
        """
An import without a path is a module of the standard library. Files are imported by their path.

    import shapes
    import "shapes.ppl" as shapes
""",
    ),
    "E080": Code(
        "the text of an intermediate program cannot be read",
        """
`ppl ir` prints programs in a form that can be read back. This text is not of that form: a word is
missing or unknown, a name is used before it is bound, or a type does not follow from the parts.

    main m
    def m(): measure[real] = return thunk run normal(0)         # normal takes two arguments

    main m
    def m(): measure[real] = return thunk run normal(0, 1)
""",
    ),
    "E081": Code(
        "a program breaks a rule of the intermediate representation",
        """
Every pass of the compiler must produce a program whose names are bound once, whose types follow
from its parts, and whose pure places are pure. This one does not: it is a fault of the compiler
or of a pass, never of a model. Please report it with the model that shows it.

    main m
    def m(): measure[real] = return thunk return (x : real)     # `x` is not bound

    main m
    def m(x: real): measure[real] = return thunk return x
""",
    ),
    "E082": Code(
        "the default of a model's parameter is not a constant",
        """
A default of a model's parameter is data, read before anything is run: a number, a truth value, a
text, or arrays, tuples and records of them. It is not computed.

    model m(rate: pos = exp(1)) { poisson(rate) }

    model m(rate: pos = 2.718) { poisson(rate) }
""",
    ),
    "E201": Code(
        "an unknown name",
        """
A name must be bound before it is used: by a parameter, `let`, `~`, a pattern or a loop.
Functions, models and constructors of the file may be used anywhere in it.

    observe y ~ normal(mu, sigm)
    observe y ~ normal(mu, sigma)
""",
    ),
    "E202": Code(
        "a name that is defined twice",
        """
Top-level names are unique, and so are parameters, names within a pattern, fields and named
arguments. In a block, `let` may give a name again; the later one holds from there on.

    fn f(x, x) { x }
    fn f(x, y) { x + y }
""",
    ),
    "E203": Code(
        "an unknown type",
        """
The types are `unit bool nat int real pos prob text`, tuples `(A, B)`, records `{a: A}`, arrays
`[A]`, functions `A -> B`, `dist[A]`, `measure[A]`, the opaque `lm context token trace`, and those
the file declares.

    model m(y: vector) { … }
    model m(y: [real]) { … }
""",
    ),
    "E204": Code(
        "an unknown constructor",
        """
A capitalised name in a pattern is a constructor of a declared type. A variable begins with a
small letter.

    match t { Lef(x) => x, Node(l, r) => 0 }
    match t { Leaf(x) => x, Node(l, r) => 0 }
""",
    ),
    "E205": Code(
        "a model's parameter without a type",
        """
The parameters of a model are its data. They come from outside, so their types are written;
nothing else needs to be.

    model m(y) { … }
    model m(y: [real]) { … }
""",
    ),
    "E206": Code(
        "a guide for no model",
        """
`guide g() for m { … }` approximates the posterior of the model `m`, which stands in the same
file.

    guide g() for modle { … }
    guide g() for model1 { … }
""",
    ),
    "E207": Code(
        "`?` where nothing can be missing",
        """
`A?` says that values may be missing from the data. Only parameters of a model are data; in its
body the value has the type `A`, and each hole is a latent variable.

    fn f(x: real?) { x + 1 }
    model m(y: [real?]) { … }
""",
    ),
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
""",
    ),
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
    "E601": Code(
        "a parameter has no data",
        """
Every parameter of a model needs a value, found by its name: a field of the data file, or a named
argument in Python.

    model m(y: [real], sigma: pos) { … }

    {"y": [1.0, 2.0]}                    # wrong: nothing for sigma
    {"y": [1.0, 2.0], "sigma": 0.5}      # right
""",
    ),
    "E602": Code(
        "a parameter's data are misspelt",
        """
No field has the parameter's name, but one comes close. Names are compared letter by letter,
capitals included.

    model m(sigma: pos) { … }

    {"Sigma": 0.5}      # wrong
    {"sigma": 0.5}      # right
""",
    ),
    "E603": Code(
        "data of the wrong kind",
        """
A value is not of the kind that the parameter's type asks for: a text or a boolean where a number is
needed, a fraction where a whole number is needed, a value that is not a function for a function.
Whole numbers may be written `3.0`; booleans may be written 0 and 1; nothing else is converted.

    model m(counts: [nat]) { … }

    {"counts": [2, 3.5]}      # wrong: 3.5 is no whole number
    {"counts": [2, 3]}        # right
""",
    ),
    "E604": Code(
        "data of the wrong shape",
        """
An array has more or fewer dimensions than the parameter's type, its rows are of unequal length, or
a tuple has too few or too many components. `[real]` has one dimension, `[[real]]` two.

    model m(x: [[real]]) { … }

    {"x": [[1, 2], [3]]}         # wrong: ragged
    {"x": [[1, 2], [3, 4]]}      # right

Ragged data are held as one flat array and the offsets at which its groups begin.
""",
    ),
    "E605": Code(
        "data out of range",
        """
A number lies outside the range of its type: `nat` and `pos` are at least 0, `prob` lies between 0
and 1, whole numbers have 64 bits, and reals are double precision.

    model m(sigma: [pos]) { … }

    {"sigma": [1.5, -2]}      # wrong
    {"sigma": [1.5, 2]}       # right
""",
    ),
    "E606": Code(
        "a hole in data that may have none",
        """
A value is missing (null in JSON, NA or an empty cell in CSV, NaN in arrays), and the parameter's
type does not allow it. With `?` after the element's type, each hole becomes a latent variable.

    model m(y: [real]) { … }       # wrong for {"y": [1.0, null]}
    model m(y: [real?]) { … }      # right: the hole is inferred
""",
    ),
    "E607": Code(
        "a data file cannot be read",
        """
The file is not what its suffix says, or has no suffix that is known. A JSON file holds one object;
a CSV file names its columns in the first line; an NPZ file holds arrays without pickled objects; a
NetCDF file is of version 4.

    [1, 2, 3]               # wrong: which parameter is this?
    {"y": [1, 2, 3]}        # right
""",
    ),
    "E609": Code(
        "an argument that a function of a posterior cannot take",
        """
Functions that a model returns are called from Python on numbers, arrays, tuples, and dicts for
records.

    posterior.result("four")
    posterior.result(4.0)
""",
    ),
    "E701": Code(
        "sides of a choice, or steps of a loop, that do not join",
        """
Which side of an `if` on a random value is taken differs from run to run, and all runs are computed
together. So both sides must give values of one form: arrays of one length, one text. Functions,
measures and distributions of any kind may differ. Likewise the state of a loop has one form from
step to step. The machine has no such limits; `ppl.infer` goes over to it by itself, where the
method runs there, unless engine='xla' was asked for.

    let xs = if coin { [1.0, 2.0] } else { [3.0] }        # two lengths
    let xs = if coin { [1.0, 2.0] } else { [3.0, 0.0] }   # one
""",
    ),
    "E702": Code(
        "a size that is not known while compiling",
        """
Sizes of ranges, repeated arrays and slices are part of the compiled program. They may be numbers,
lengths of data, and integer parameters of the model, but not random or computed from random values.

    n ~ poisson(3)
    xs ~ for _ in range(n) { normal(0, 1) }                                 # a random size
    xs ~ for i in range(20) { x ~ normal(0, 1); return if i < n { x } else { 0 } }   # a bound
""",
    ),
    "E703": Code(
        "an index or slice outside its array",
        """
Indices start at 0, and a literal negative index counts from the end. A slice must lie within the
array.

    let y = [1, 2, 3]
    y[3]        # the last is y[2], also y[-1]
""",
    ),
    "E704": Code(
        "sizes that do not agree",
        """
Arrays are combined element by element when their sizes are equal; a number goes with anything, and
nothing else is stretched. `zip` pairs arrays of one length, the inner sizes of a matrix product
agree, and so do those of what is observed and of what its distribution draws. The elements of an
array of arrays have one length.

    model(x=[1, 2, 3], y=[1.5, 2.5])            # with `observe y ~ normal(b * x, 1)`
    model(x=[1, 2, 3], y=[1.5, 2.5, 3.5])
""",
    ),
    "E705": Code(
        "a distribution of a random family inside another",
        """
A distribution chosen at random among different families can be drawn from and observed. Inside
`truncate`, `iid` or `transform` its family must be known.

    observe y ~ truncate(if c { normal(0, 1) } else { cauchy(0, 1) }, 0)
    observe y ~ if c { truncate(normal(0, 1), 0) } else { truncate(cauchy(0, 1), 0) }
""",
    ),
    "E706": Code(
        "something that XLA cannot run",
        """
Inductive types and `match` on them run on the abstract machine, which chooses what to compute as it
goes. So do `mem` and `lazy`, and `normalize`.

    f ~ mem(fn (k: nat) => normal(0, 1))        # the machine
    f ~ for _ in range(4) { normal(0, 1) }      # XLA, if four are enough
""",
    ),
    "E707": Code(
        "recursion without a bound that is known while compiling",
        """
A recursive call is unrolled while its end depends on sizes and constants. If it depends on random
values, tail recursion runs as a loop, and other recursion needs the abstract machine.

    fn f(n: nat) { if n == 0 { 0 } else { 1 + f(n - 1) } }
    f(4)        # unrolled
    f(k)        # with k random: not
    fn g(n: nat, sum: nat) { if n == 0 { sum } else { g(n - 1, sum + 1) } }
    g(k, 0)     # a loop
""",
    ),
    "E708": Code(
        "a draw that cannot be enumerated",
        """
Enumerating a computation needs every one of its draws to be made by the program itself. Code from
elsewhere that takes a random key, such as a sampler of another library, can only be tested by
running it.

    omega, key = omega.foreign_key(path)            # cannot be enumerated
    omega, x = omega.draw(path, distribution)       # can
""",
    ),
    "E709": Code(
        "an index that went out of range while running",
        """
An index that depends on random values can leave its array in some runs. Results computed from it
would be meaningless, so none are given. Branches that are not taken do not count.

    let y = [1.0, 2.0, 3.0]
    k ~ poisson(1)
    observe 2.0 ~ normal(y[k], 1)                  # sometimes k is 3 or more
    k ~ categorical([0.5, 0.3, 0.2])
    observe 2.0 ~ normal(y[k], 1)
""",
    ),
    "E710": Code(
        "a cast that failed while running",
        """
A number that may be negative becomes a `nat`, and a nonnegative one a `prob`, by a cast that is
checked when the program runs.

    let p = a / b               # a prob only while a <= b
    x ~ bernoulli(p)
""",
    ),
    "E711": Code(
        "a function of Python that does not fit",
        """
A Python function given as data becomes part of the compiled program: it is traced once, on arrays
of JAX without known values, and must give what its declared type says.

    model m(f: real -> real) { x ~ normal(0, 1); return f(x) }
    m(f=lambda x: float(numpy.sin(x)))      # wrong: needs the value of x
    m(f=lambda x: jax.numpy.sin(x))         # right
""",
    ),
    "E712": Code(
        "a method that does not run where the program does",
        """
Programs with inductive types, `mem`, recursion or sizes that depend on random choices run on the
machine, one execution at a time. Methods that need gradients run on XLA.

    ppl.infer(target, ppl.nuts())                       # wrong for such a program
    ppl.infer(target, ppl.importance(particles=5_000))  # right
""",
    ),
    "E713": Code(
        "random choices inside a loop without a bound have no density",
        """
Gradient methods move all random choices of a program at once, as one vector. A loop that draws
until something happens, by `iterate … until` or by recursion, makes as many choices as it happens
to, so there is no such vector. Give the loop a bound, which makes the vector as long as the
longest run, or use a method that runs the program forward.

    x ~ iterate s = 0.0 until s > 3 { e ~ normal(1, 1); return s + e }          # not with nuts
    x ~ iterate s = 0.0 until s > 3 max 20 { e ~ normal(1, 1); return s + e }
""",
    ),
    "E714": Code(
        "no gradient through a loop without a bound",
        """
A loop that computes until it is done keeps no record of its steps, and the derivative of its
result would need one. It may depend on data, but not on continuous random choices where gradients
are taken. With a bound it may.

    a ~ lognormal(0, 1)
    let r = iterate r = 1.0 until abs(r * r - a) < 1e-9 { (r + a / r) / 2 }       # wrong
    let r = iterate r = 1.0 until abs(r * r - a) < 1e-9 max 30 { (r + a / r) / 2 }
""",
    ),
    "E715": Code(
        "a loop without a bound that does not fit XLA",
        """
The state of a loop has one form and one size on XLA, from the first step to the last, and what is
drawn in all its steps has to fit in memory. The machine runs loops whose state grows, and long
ones; `ppl.infer` goes over to it by itself unless engine='xla' was asked for.

    xs ~ iterate xs = [0.0] until sum(xs) > 3 { e ~ normal(1, 1); return concat(xs, [e]) }
    s ~ iterate s = 0.0 until s > 3 { e ~ normal(1, 1); return s + e }    # draws are kept
""",
    ),
    "E716": Code(
        "the engine asked for cannot run this",
        """
`engine="xla"` asks for compiled code, which has no inductive types, `mem`, general recursion and
sizes that depend on random choices. `engine="machine"` asks for one execution after the other,
which has no gradients. `mcmc` runs on the machine alone. By default the compiler chooses;
`ppl check --engine` shows what, and why.

    ppl.infer(target, ppl.nuts(), engine="machine")          # wrong
    ppl.infer(target, ppl.importance(), engine="machine")    # right
""",
    ),
    "W717": Code(
        "a program that ran on the machine after all",
        """
The compiler chose XLA, and found while compiling that sizes depend on what is drawn, that the state
of a loop changes in form or size, that a loop without a bound takes too many steps to keep what
each draws, or that particles have to stop where they cannot (E730). The machine ran the program
instead: the law is the same, the random numbers are others, and it is slower. Say so to be rid of
the remark.

    ppl.infer(target, ppl.importance())                      # tries XLA first
    ppl.infer(target, ppl.importance(), engine="machine")
""",
    ),
    "E718": Code(
        "a summed loop starts outside its choices' values",
        """
Where the choices that a loop carries are summed out, its states are the values of those choices, 0
to K - 1, and it starts from one of them. A start that is a number in the program may lie outside:
then the states are as many as it takes. Data may not, since new data must not change the states.

    model m(y: [real], start: nat) {
      zs ~ scan z = start for v in y {                    # wrong if start is 3 or more
        z ~ categorical([0.2, 0.5, 0.3]); observe v ~ normal(z, 1); return z
      }
      return zs
    }

Start from a written number, draw the first state before the loop, or use a method that draws:
importance, smc, mcmc.
""",
    ),
    "E720": Code(
        "a measure without a sampler is drawn from",
        """
`flat`, `flat_ordered` and `flat_simplex` are Lebesgue measures: densities, not probability
distributions, so nothing can be drawn from them. Methods that only use the density (nuts, hmc) take
them as improper priors; methods that draw from the prior need a proper one.

    model m(y: real) { mu ~ flat(); observe y ~ normal(mu, 1) }          # not with smc
    model m(y: real) { mu ~ normal(0, 100); observe y ~ normal(mu, 1) }  # with any method
""",
    ),
    "E721": Code(
        "a distribution without a distribution function is truncated",
        """
`truncate(d, lower, upper)` divides by the probability of the bounds, which is computed from the
distribution function of `d`. A few distributions on the line (`von_mises`) have none that can be
computed, and distributions of vectors have none at all.

    x ~ truncate(von_mises(0, 2), 0, 1)                      # wrong
    x ~ truncate(normal(0, 2), 0, 1)                         # right
    x ~ von_mises(0, 2); condition x >= 0 and x <= 1         # right: not renormalised
""",
    ),
    "E722": Code(
        "a mixture has discrete and continuous components",
        """
A density is with respect to a reference measure: counting for discrete distributions, length for
continuous ones. A mixture of both has a density for neither.

    x ~ mixture([0.5, 0.5], [dirac(0.0), normal(0, 1)])      # wrong
    zero ~ bernoulli(0.5)                                    # right
    x ~ if zero { return 0.0 } else { normal(0, 1) }
""",
    ),
    "E723": Code(
        "a discrete site under a method that needs gradients",
        """
Gradient methods move in unconstrained real coordinates, which discrete values do not have. Sum the
site out (finite sites are summed out automatically where that is exact), or use a method that
draws it.

    k ~ poisson(3)          # wrong with nuts
    lambda ~ gamma(3, 1)    # right
""",
    ),
    "E724": Code(
        "the values of a site cannot be listed",
        """
Enumeration needs finitely many values whose number is known when the program is compiled, and at
most ten thousand of them.

    k ~ poisson(3)                      # wrong: infinitely many
    n ~ poisson(3); k ~ binomial(n, p)  # wrong: how many depends on a draw
    k ~ binomial(10, p)                 # right
""",
    ),
    "E725": Code(
        "a counterfactual of a distribution without a noise map",
        """
A counterfactual replays the noise behind what was seen. Which noise that is does not follow from a
distribution; it is a choice, which the table of distributions makes for most (the quantile, the
standardised value, one Gumbel per category). Those that declare none are refused.

    g ~ gamma(2, 1)                    # wrong: two natural constructions disagree
    g ~ weibull(2, 1)                  # right: by its quantile
""",
    ),
    "E730": Code(
        "a suspension point at which compiled code cannot stop",
        """
Sequential Monte Carlo stops all particles after each scoring statement of the model, at each step
of a `scan` or `fold` that scores, and at each `checkpoint`. Compiled code stops all of them at
once: not in a branch that some of them take, in recursion, at the steps of `iterate`, inside a step
of another loop, or inside a `for`. The machine stops particles one by one; `ppl.infer` goes over to
it by itself unless engine='xla' was asked for. A loop that always runs stops on either:

    if long { xs ~ scan x = 0 for y in ys { … observe y ~ normal(x, 1) … } }     # the machine's
    xs ~ scan x = 0 for y in ys { … if long { observe y ~ normal(x, 1) } … }     # on XLA, too
""",
    ),
    "E740": Code(
        "a transformer does not keep its law",
        """
`ppl.verify` ran the transformer on every outcome of its own random choices and of the program's,
and a mass is not what the contract says. The report shows the program, the trace, the expected and
the found mass, and the random choices that give it; `verdict.counterexample.replay()` runs them
again.

    return ancestors, log_weights                     # wrong: weights are not reset
    return ancestors, [log_mean(log_weights)] * n     # right: each child has the mean weight
""",
    ),
    "E741": Code(
        "a check that decides nothing",
        """
There are more random outcomes than may be run one by one, the program is not finite, or it has no
mass. Nothing was found wrong, and nothing was shown to be right. Paths multiply with particles,
steps and values: three of each are enough to see most mistakes.

    check(smc_with(particles=50), program, ProperlyWeighted()).assert_ok()     # too many
    check(smc_with(particles=3), program, ProperlyWeighted()).assert_ok()
""",
    ),
    "E742": Code(
        "a subject of a check that does not keep to its protocol",
        """
Each kind of subject of `ppl.verify` takes and gives values of one form: a sampler gives weighted
values (or executions), a kernel a state, a resampler ancestors and as many log weights.

    Resampler(lambda log_weights, omega: ancestors)                    # wrong
    Resampler(lambda log_weights, omega: (ancestors, new_weights))     # right
""",
    ),
    "E743": Code(
        "probabilities of a choice that are none",
        """
Inference code draws a choice whose probabilities are negative, not numbers, or do not sum to 1.

    bernoulli(omega, "accept", ratio)               # wrong if the ratio is above 1
    bernoulli(omega, "accept", min(1, ratio))
    categorical(omega, "ancestor", weights)         # wrong if they do not sum to 1
    categorical(omega, "ancestor", [w / sum(weights) for w in weights])
""",
    ),
    "E744": Code(
        "a contract that such a subject does not have",
        """
Each contract is a law of some kinds of transformers: `Invariant` and `Reversible` are of kernels,
`ProperlyWeighted` of samplers and resamplers, `SameDensity` of distributions.

    check(Resampler(r), program, Invariant())             # wrong
    check(Resampler(r), program, ProperlyWeighted())      # right
""",
    ),
    "E745": Code(
        "not a program that can be checked",
        """
A check takes a program of `ppl.verify.programs()`, a model applied to its data, or a text whose
last model takes no data.

    check(kernel, model, Invariant())               # wrong: a model without its data
    check(kernel, model(y=[1, 0, 1]), Invariant())
""",
    ),
    "E746": Code(
        "a setting of a check that makes no sense",
        """
`limit` is the number of paths that may be run, at least 1; `temperature` is positive.

    check(kernel, program, Invariant(temperature=0))       # wrong: the prior is no posterior
    check(kernel, program, Invariant(temperature=0.3))     # the scores to the power 0.3
""",
    ),
    "E747": Code(
        "an enumeration that lists an atom twice",
        """
The contract `Enumerates` says that every atom of the measure comes once, with its whole mass.

    [(True, log(0.2)), (True, log(0.1))]       # wrong
    [(True, log(0.2 + 0.1))]
""",
    ),
    "E801": Code(
        "a site that cannot be drawn",
        """
Methods that run the model forward (importance, prior simulation) draw every site. `flat` is a
density without a sampler.

    mu ~ flat()               # nuts, hmc, map, laplace
    mu ~ normal(0, 100)       # any method
""",
    ),
    "E802": Code(
        "a trace without a value for a site",
        """
Replaying a program takes the value of every random choice from a trace, by the choice's path.

    {"mu": 0.3}                             # for a model that draws `mu` and `tau`
    {"mu": 0.3, "tau": 1.5}
""",
    ),
    "E803": Code(
        "a discrete site under a gradient method",
        """
Gradient methods move real numbers. Discrete choices with finitely many values are summed out
exactly; one without a bound cannot be.

    k ~ poisson(3)                          # no bound
    k ~ truncate(poisson(3), 0, 40)         # summed out
""",
    ),
    "E805": Code(
        "discrete choices that are coupled",
        """
Finite choices are summed out one by one, which needs the elements of an array of choices to be
independent given everything else. Mixing them (their sum, one choice used at another's place)
leaves a table over all combinations.

    zs ~ for y in ys { bernoulli(0.3) }
    observe n ~ poisson(sum(indicator(zs)))                     # all of zs at once
    for (z, y) in zip(zs, ys) { observe y ~ normal(mu[indicator(z)], 1) }    # one by one
""",
    ),
    "E806": Code(
        "a loop whose state cannot be summed out",
        """
A loop that carries a finite choice from step to step is summed by a forward recursion. Everything
else it carries must not depend on those choices, since it would have one value for each history.

    z ~ fold z = z0 for y in ys { z ~ categorical(a[z]); observe y ~ normal(mu[z], 1); return z }
    x ~ fold x = 0 for y in ys { up ~ bernoulli(0.5); return if up { x + 0.1 } else { x * 0.9 } }

The second needs a method that draws the choices: importance, smc, mcmc.
""",
    ),
    "E807": Code(
        "a program with too many paths, or infinitely many",
        """
Exact inference runs every possible execution. All random choices must have finitely many values,
and together not too many.

    x ~ normal(0, 1)        # nuts, importance
    x ~ bernoulli(0.3)      # exact
""",
    ),
    "E808": Code(
        "a site to non-centre that is not there",
        """
`noncenter` names continuous sites by their path, as results do.

    theta ~ for _ in y { normal(mu, tau) }
    ppl.nuts(noncenter=["theta[1]"])    # wrong: an element of the site
    ppl.nuts(noncenter=["theta"])
""",
    ),
    "E809": Code(
        "a site that cannot be non-centred",
        """
Non-centring moves a site in standardised coordinates, x = location + scale * u. Only families with
a location and a scale have them.

    theta ~ for _ in y { normal(mu, tau) }      # noncenter = theta
    tau ~ gamma(2, 1)                           # cannot be
""",
    ),
    "E810": Code(
        "no starting point",
        """
A gradient method starts where the log density and its gradient are finite. None was found among
random points and draws from the prior. Most often an observation lies outside the support of what
it is observed from, or an expression is not a number near zero.

    observe -1 ~ exponential(rate)          # impossible whatever `rate` is
    observe 1 ~ exponential(rate)
""",
    ),
    "E811": Code(
        "a setting of an inference method out of range",
        """
Numbers of draws and chains are at least one, `target_accept` lies between 0 and 1, and so on.

    nuts(chains=0)
    nuts(chains=4)
""",
    ),
    "E812": Code(
        "no mode found",
        """
The optimiser did not reach a point where the gradient vanishes. The density may have no mode: in a
hierarchical model it often grows without bound as a scale goes to zero with its effects.

    tau ~ flat(0, inf)
    theta ~ for _ in range(8) { normal(mu, tau) }      # unbounded as tau -> 0
    tau ~ gamma(2, 0.1)                                # zero density at 0
""",
    ),
    "E813": Code(
        "the mode has no Gaussian approximation",
        """
The Laplace approximation needs the log density to curve down in every direction at its mode. Where
it is flat, a combination of sites is not determined by prior and data.

    a ~ flat()
    b ~ flat()
    observe y ~ normal(a + b, 1)            # a - b can be anything
    a ~ normal(0, 10)
    b ~ normal(0, 10)
""",
    ),
    "E814": Code(
        "nothing for a gradient method to move",
        """
Every site is discrete and can be summed out, so the answer is known exactly without sampling.

    ppl run coins.ppl --method nuts
    ppl run coins.ppl --method exact
""",
    ),
    "E815": Code(
        "an unknown method",
        """
`ppl.infer` takes a method, or a method's name.

    ppl.infer(target, ppl.nuts)
    ppl.infer(target, ppl.nuts(chains=2))
""",
    ),
    "E816": Code(
        "an unknown setting of a method",
        """
Settings are the keyword arguments of a method, and `--set NAME=VALUE` on the command line.

    --method nuts --set target_acept=0.9
    --method nuts --set target_accept=0.9
""",
    ),
    "E817": Code(
        "something that is not a target",
        """
A model is a function of its data; what is inferred is the model applied to data.

    ppl.infer(models.line, ppl.nuts())                  # the model
    ppl.infer(models.line(x=x, y=y), ppl.nuts())        # the model on its data
""",
    ),
    "E818": Code(
        "an unknown model",
        """
The models of a file are attributes of what `ppl.load` gives, by the names they are declared with.

    ppl.load("line.ppl").lines      # the file says `model line(…)`
    ppl.load("line.ppl").line
""",
    ),
    "E840": Code(
        "a measure that is not rational",
        """
Exact enumeration in fractions treats finite programs whose scores are logarithms of fractions.
Other programs are enumerated in floating point.

    factor exp(-0.5)        # not rational
    factor log(2/3)
""",
    ),
    "E841": Code(
        "a random function from outside `normalize`",
        """
What `normalize` sums over is drawn inside it. A function made by `mem` outside may be asked inside
only for values that it already has, and a `lazy` value only if it is known. The values of one that
is drawn inside are asked for inside as well: `exact` cannot list the paths of those to come.

    f ~ mem(fn (k: nat) => bernoulli(0.3));  x ~ normalize({ return f(0) }, exact)
    x ~ normalize({ f ~ mem(fn (k: nat) => bernoulli(0.3)); return f(0) }, exact)
""",
    ),
    "E843": Code(
        "a run that used up its fuel",
        """
The number of steps of a run is limited, to a million under `ppl.infer` if nothing else is said, and
the run went past it: a loop or a recursion did not end in time. Recursion ends with probability one
if each call makes, on average, less than one call of the same kind. For longer runs set
`limits=ppl.limits(fuel=…)`.

    fn tree() -> measure[nat] {
      x ~ bernoulli(0.6)      # wrong: 1.2 calls a call
      if x { a ~ tree(); b ~ tree(); return a + b } else { return 1 }
    }
    fn tree() -> measure[nat] {
      x ~ bernoulli(0.4)      # 0.8
      if x { a ~ tree(); b ~ tree(); return a + b } else { return 1 }
    }
""",
    ),
    "E844": Code(
        "`normalize` of a measure without mass",
        """
A measure is divided by its mass, which must not be zero: some execution has to satisfy the
conditions.

    x ~ normalize({ a ~ bernoulli(0.3); condition a and not a; return a }, exact)
    x ~ normalize({ a ~ bernoulli(0.3); condition a or not a; return a }, exact)
""",
    ),
    "E845": Code(
        "a score above 0 under `rejection`",
        """
`normalize(m, rejection)` accepts an execution with probability exp(its scores), and so no score may
be above 0: no density above 1, no positive `factor`. Subtract a bound of the score, which changes
nothing after normalising, or weigh executions with `importance(n)` instead of rejecting them.

    x ~ normalize({ a ~ normal(0, 1); factor 3 - a^2; return a }, rejection)
    x ~ normalize({ a ~ normal(0, 1); factor -a^2; return a }, rejection)
""",
    ),
    "E846": Code(
        "`rejection` gave up",
        """
No execution was accepted in the number of tries allowed, a million if `rejection(tries)` says
nothing else. To go on without a value would change the law.

    x ~ normalize({ a ~ normal(0, 1); condition a > 9; return a }, rejection(1_000))
    x ~ normalize({ a ~ truncate(normal(0, 1), 9); return a }, rejection(1_000))
""",
    ),
    "E847": Code(
        "runs that took too long",
        """
A limit was set on the time of all runs together, and it is over; the place is where the last run
was stopped. Ctrl-C stops as well, and keeps the executions made so far.

    ppl.infer(target, ppl.importance(particles=100_000), limits=ppl.limits(seconds=1))     # wrong
    ppl.infer(target, ppl.importance(particles=100_000), limits=ppl.limits(seconds=600))
""",
    ),
    "E848": Code(
        "runs that hold too much memory",
        """
A limit was set on the memory by which the process may grow, or the memory of the machine is used
up. A recursion that is not in tail position holds a frame for each call, and executions hold their
sites until the end.

    fn count(n: nat) -> measure[nat] {    # wrong, for very large n
      x ~ bernoulli(0.5);  k ~ count(n - 1);  return k + indicator(x)
    }
    fn count(n: nat, k: nat) -> measure[nat] {
      x ~ bernoulli(0.5);  count(n - 1, k + indicator(x))
    }
""",
    ),
    "E849": Code(
        "inference that nests too deeply",
        """
A measure that is normalised inside one that is normalised, and so on, takes room on Python's stack
at each level: some hundred levels fit. Mostly the recursion does not end.

    fn level(n: nat) -> dist[bool] {      # wrong: for ever
      normalize({ x ~ level(n + 1); y ~ bernoulli(0.3); condition x or y; return y }, exact)
    }
    fn level(n: nat) -> dist[bool] {
      if n == 0 { bernoulli(0.3) } else {
        normalize({ x ~ level(n - 1); y ~ bernoulli(0.3); condition x or y; return y }, exact)
      }
    }
""",
    ),
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
    "W855": Code(
        "a name was set that no execution came to",
        """
On the machine, names are known when a program runs. None of the executions had a site of this name:
it is spelt differently, or stands in a branch that was never taken.

    n ~ pick(0)                               # recursive: `pick` runs `stop` again and again
    target.do({"n/pick/stop": 1})             # wrong: no such path
    target.do({"n/else/pick/stop": 1})        # right: the names that results show
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
    "E870": Code(
        "keys that cannot be compared",
        """
A map finds a value by comparing keys, so keys are numbers, texts, truth values, values of declared
types, or tuples, records, arrays and maps of such. Functions and measures have no decidable
equality. The same holds for what a function of `mem` or `gaussian_process` is asked for, since it
remembers its answers.

    let m = map_of([(fn (x) => x, 1)])
    let m = map_of([("identity", 1)])
""",
    ),
    "E871": Code(
        "a value that `text` does not write",
        """
`text(x)` writes a number, a truth value or a text. Arrays and other compound values are written
part by part.

    let s = text([1, 2, 3])
    let s = join([text(k) for k in [1, 2, 3]], ", ")
""",
    ),
    "E872": Code(
        "a key that the map does not have",
        """
`m[key]` is the value of a key that the map must have when the program runs. Where it may lack it,
say what happens then.

    let n = counts[word]
    let n = get(counts, word, 0)
""",
    ),
    "E873": Code(
        "a kernel that is not positive semidefinite",
        """
The covariance of a Gaussian process at any inputs must be positive semidefinite; with this kernel a
conditional variance would be negative. Sums and products of kernels, and positive multiples, are
kernels; differences are not.

    f ~ gaussian_process(fn (x) => 0, fn (a, b) => abs(a - b))
    f ~ gaussian_process(fn (x) => 0, fn (a, b) => exp(-abs(a - b)))
""",
    ),
    "E859": Code(
        "a choice that cannot be set, or whose noise cannot be kept",
        """
In loops and recursion without a bound the number of choices is known when the program runs, and
compiled programs keep no place for each. Give the loop a bound, or set what it is bound to. The
noise of what was drawn for holes in the data is not kept, either, for `ppl.counterfactual`.

    n ~ iterate k = 0 until k > 5 { s ~ bernoulli(p); return k + (if s { 2 } else { 1 }) }
    target.do({"n/s[0]": true})     # wrong
    target.do(n=6)                  # right
    n ~ iterate k = 0 until k > 5 max 6 { … }       # right: has six choices `n/s`
""",
    ),
    "E891": Code(
        "a posterior has no draws of that name",
        """
Draws are named by site: the binders and loop indices of the run, as in `theta[3]` or `step/x`. The
model's returned value is `posterior.result`.

    posterior["Theta"]      # wrong
    posterior["theta"]      # right
""",
    ),
    "E892": Code(
        "the method gives no evidence",
        """
The log evidence is the logarithm of the model's total mass. Exact enumeration, importance sampling
and sequential Monte Carlo estimate it; Markov chains such as NUTS draw from the posterior and know
nothing of its mass.

    ppl.infer(target, ppl.nuts()).log_evidence                # wrong
    ppl.infer(target, ppl.importance(10_000)).log_evidence    # right
""",
    ),
    "E893": Code(
        "not a saved posterior",
        """
`ppl.load_posterior` reads files that `Posterior.save` wrote (NetCDF, with the suffix `.nc`).

    ppl.load_posterior("data.nc")           # wrong: some other NetCDF file
    posterior.save("posterior.nc")          # right
    ppl.load_posterior("posterior.nc")
""",
    ),
    "E894": Code(
        "a result cannot be written",
        """
The folder does not exist, or the file may not be written there, or a plot's suffix names no format.

    ppl run model.ppl --data d.json --out missing/folder/posterior.nc      # wrong
    mkdir -p missing/folder                                                # right: make it first
""",
    ),
    "E895": Code(
        "every draw has weight zero",
        """
Not one draw agrees with the observations: an observed value lies outside its distribution's
support, a `condition` never holds, or the prior is so far from the data that all weights underflow.

    sigma ~ uniform(0, 1)
    observe y ~ uniform(0, sigma)        # wrong for y = 3: its density is always zero
    sigma ~ uniform(0, 10)               # right: some draws can produce y
""",
    ),
    "E896": Code(
        "a posterior without its model",
        """
A posterior that was inferred in this process predicts for the data it was given. One that was
loaded from a file needs to be told the model and the data to predict for.

    ppl.load_posterior("p.nc").predict()
    ppl.load_posterior("p.nc").predict(model(x=x, y=y))
""",
    ),
    "W301": Code(
        "an arm that is never reached",
        """
A variable takes every value, so no later arm is tried. Constructors begin with a capital letter.

    match t { leaf => 0, Node(l, r) => 1 }
    match t { Leaf => 0, Node(l, r) => 1 }
""",
    ),
    "W401": Code(
        "an observation that may lie outside the support",
        """
The data are declared with a wider range than the distribution draws. Values outside have weight
0.

    model m(y: [int]) { observe y ~ poisson(3) … }
    model m(y: [nat]) { observe y ~ poisson(3) … }
""",
    ),
    "W501": Code(
        "a latent variable that nothing uses",
        """
Nothing depends on the draw, so its posterior is its prior. Often another variable was meant.

    tau ~ half_normal(1)
    theta ~ normal(mu, 1)         # normal(mu, tau)
""",
    ),
    "W601": Code(
        "a data field is not used",
        """
The file has a field that no parameter of the model is named after. Nothing is wrong if it belongs
to other models; if it should have been used, the names differ.

    model m(y: [real]) { … }

    {"y": [1, 2], "n": 2}      # warns: n is not used
    {"y": [1, 2]}              # right
""",
    ),
    "W891": Code(
        "divergent transitions",
        """
At a divergence the numerical trajectory of Hamiltonian Monte Carlo left the true one: the posterior
bends too sharply there for the step size, and the draws miss that region. Few divergences are often
cured by smaller steps; many by writing the model with its scale outside.

    theta ~ for _ in y { normal(mu, tau) }                          # a funnel in (theta, tau)

    z ~ for _ in y { normal(0, 1) }                                 # the same law without it
    let theta = [mu + tau * zi for zi in z]

    ppl.nuts(target_accept=0.95)                                    # smaller steps
""",
    ),
    "W892": Code(
        "chains that disagree",
        """
R-hat compares the spread between chains with the spread within them (rank-normalised and split:
Vehtari et al. 2021); above 1.01 the chains have not mixed. Run longer; if that does not help, look
for two modes, for components that can swap labels, or for directions the data say nothing about.

    ppl.nuts(draws=100, warmup=50)            # too short
    ppl.nuts(draws=2_000, warmup=2_000)
""",
    ),
    "W893": Code(
        "few effective draws",
        """
Neighbouring draws of a chain are alike, so that they tell as much as a smaller number of
independent ones: the effective sample size. Below 100 a chain, means and quantiles (and R-hat
itself) are not to be relied on. Take more draws, or mend the model's geometry.

    ppl.nuts(draws=100)
    ppl.nuts(draws=4_000)
""",
    ),
    "W894": Code(
        "weights on few particles",
        """
Nearly all of the weight lies on a few particles: the proposal (for plain importance sampling, the
prior) hardly meets the posterior. The evidence is then too low more often than not. Take a method
that approaches the posterior in steps.

    ppl.importance(1_000)            # thirty observations, a vague prior
    ppl.nuts()
""",
    ),
    "W895": Code(
        "a result was not saved",
        """
The model's result holds functions or other Python objects, which a file cannot. The named draws and
everything else were saved; the loaded posterior has no `result`.

    posterior.save("f.nc")                       # saves the named draws only
    np.save("f.npy", posterior.result(xs))       # saves the function's values
""",
    ),
    "W896": Code(
        "a run that was stopped",
        """
Ctrl-C ended the run before it had all its draws; what there was by then was kept. Chains are cut to
one length, and those that had hardly begun are left out. The draws are good ones, only fewer.

    except ppl.Interrupted as stop:
        posterior = stop.posterior      # None if warm-up was not over
""",
    ),
}
