"""Data given to models."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
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
}
