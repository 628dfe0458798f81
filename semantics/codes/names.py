"""Names, and patterns."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
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
}
