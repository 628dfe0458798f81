"""The syntax of programs."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
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
}
