"""Texts, limits, and files that are imported."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
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
}
