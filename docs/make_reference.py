"""Write docs/reference.md from the table of primitives and the prelude.

python -m docs.make_reference
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ppl.lang.parser import parse
from ppl.lang.stdlib import MODULES, tree
from ppl.lang.syntax import Function, TypeDecl
from ppl.semantics.diagnostics import Source
from ppl.semantics.signatures import (
    ALIASES,
    CONSTANTS,
    OPERATORS,
    PRIMITIVES,
    Distribution,
    Primitive,
)

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference.md"
PRELUDE = ROOT / "lang" / "prelude.ppl"

HEAD = """# Reference

Written by `docs/make_reference.py` from the [table of primitives](../semantics/signatures.py),
which the checker and the evaluators read as well. [The language](language.md) says what the types
mean.

A signature on scalars (`real, pos -> real`) is applied to each element of arrays: a number goes
with anything, arrays have equal sizes. A distribution with array arguments draws arrays,
independent in their elements. A *reduction* takes all elements of an array of any dimension. Where
there are several signatures, the first that fits the arguments gives the type.
"""

#: rows that are written in another way: as operators, statements, or methods of `normalize`
HIDDEN = {*OPERATORS.values(), "neg", "not", "slice", "columns", "columns_slice", "index",
          "range_from", "score_if", "value_at", "checkpoint",
          "normalize_importance", "normalize_rejection"}  # fmt: skip


def page() -> str:
    """The text of the page."""
    return "\n".join([HEAD, *_sections()]) + "\n"


def _sections() -> Iterator[str]:
    rows = [r for r in PRIMITIVES.values() if r.name not in HIDDEN]
    distributions = [r for r in rows if isinstance(r, Distribution)]
    functions = [r for r in rows if not isinstance(r, Distribution)]
    yield "## Distributions\n"
    yield from _table(
        ("distribution", "type", "draws", "support", "noise"),
        ((_call(r), _types(r), r.doc, f"`{r.support}`" + (", finite" if r.finite else ""),
          r.noise or "") for r in distributions),
    )  # fmt: skip
    yield (
        "Finite ones can be enumerated and summed out. `flat` and its kin are measures: they\n"
        "have a density and cannot be sampled. *Noise* is what a draw has in common with what it\n"
        "would have been under other parameters: its quantile level (*quantile*), its\n"
        "standardised value (*location-scale*), or a Gumbel variable for each value\n"
        "(*gumbel-max*). See [counterfactuals](causal.md#counterfactuals).\n"
    )
    yield "## Operators\n"
    yield (
        "Loosest first: `or`, `and`, `not`, comparisons (which do not chain), `as`, `+ -`,\n"
        "`* / // % @`, unary `-`, `^` (right-associative), calls, indices and fields.\n"
    )
    yield from _table(
        ("operator", "types"),
        ((f"`{symbol}`", _types(PRIMITIVES[name])) for symbol, name in OPERATORS.items()),
    )
    yield "`+` also joins texts, and `< > <= >=` compare them, character by character.\n"
    for title, kind in (("Functions of numbers", "elementwise"), ("Reductions", "reduction"),
                        ("Functions of arrays and functions", "plain")):  # fmt: skip
        yield f"## {title}\n"
        yield from _table(
            ("function", "type", ""),
            ((_call(r), _types(r), r.doc) for r in functions if r.kind == kind),
        )
    yield (
        "Indices: `x[i]`, `x[-1]` (a literal counts from the end), `x[a:b]`, `X[i, j]`,\n"
        "`X[:, j]`, and `x[k]` with an array `k` of indices.\n"
        "`zip(x, y, …)` pairs arrays of equal length.\n"
    )
    yield "## Written in the language\n"
    yield from _table(("function", ""), _prelude())
    yield "## Modules of the library\n"
    yield (
        "After `import lists` these are `lists.map`, `lists.list[a]`, `lists.Cons`, and so on.\n"
    )
    for name in MODULES:
        yield f"### {name}\n"
        yield from _table(("", ""), _module(name))
    yield "## Other spellings\n"
    yield from _table(
        ("name", "is"),
        ((f"`{name}`" + (f" with {n} argument{'s' * (n != 1)}" if n else ""), f"`{known}`")
         for (name, n), known in ALIASES.items()),
    )  # fmt: skip
    yield f"Constants: {', '.join(f'`{name}`' for name in CONSTANTS)}.\n"


def _module(name: str) -> Iterator[tuple[str, str]]:
    """The documented items: those without a comment are its own affair."""
    for item in tree(name).items:
        text = " ".join((item.doc or "").split())
        if isinstance(item, Function) and text:
            types = f"[{', '.join(item.type_params)}]" if item.type_params else ""
            params = ", ".join(p.span.text for p in item.params)
            result = f" -> {item.result.span.text}" if item.result is not None else ""
            yield f"`{item.name}{types}({params}){result}`", text
        elif isinstance(item, TypeDecl) and text:
            yield f"`{item.span.text}`", text


def _prelude() -> Iterator[tuple[str, str]]:
    for item in parse(Source(PRELUDE.name, PRELUDE.read_text())).items:
        if isinstance(item, Function):
            yield f"`{item.name}({', '.join(p.span.text for p in item.params)})`", item.doc or ""


def _call(row: Primitive) -> str:
    def parameter(name: str) -> str:
        default = row.defaults.get(name)
        return name if default is None else f"{name}={default:g}"

    return f"`{row.name}({', '.join(map(parameter, row.params))})`"


def _types(row: Primitive) -> str:
    return "<br>".join(f"`{s}`" for s in row.signatures if s) or row.doc


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---' for _ in head)}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page())
