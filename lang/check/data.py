"""Variance of the parameters of inductive types."""

from __future__ import annotations

from ppl.lang.check.scope import Facts
from ppl.semantics import types as ty


def variances(facts: Facts) -> dict[str, tuple[int, ...]]:
    """For each declared type, +1 for parameters that occur only as results, -1 only as arguments
    of functions, 0 for both. The greatest fixed point, from +1 downwards through recursion."""
    signs: dict[str, list[set[int]]] = {
        d.name: [set() for _ in d.params] for d in facts.data.values()
    }
    signs[ty.MAP] = [{1}, {1}]

    def occurrences(t: ty.Type, sign: int, out: dict[str, set[int]]) -> None:
        match t:
            case ty.Base(name):
                if name in out:
                    out[name].add(sign)
            case ty.Array(item) | ty.Option(item) | ty.Dist(item) | ty.Measure(item):
                occurrences(item, sign, out)
            case ty.Tuple(items):
                for i in items:
                    occurrences(i, sign, out)
            case ty.Record(fields):
                for _, v in fields:
                    occurrences(v, sign, out)
            case ty.Fun(params, result):
                for p in params:
                    occurrences(p, -sign, out)
                occurrences(result, sign, out)
            case ty.Data(name, args):
                for seen, a in zip(signs[name], args, strict=True):
                    for x in sorted(seen):
                        occurrences(a, sign * x, out)

    grew = True
    while grew:
        grew = False
        for d in facts.data.values():
            out = dict(zip(d.params, signs[d.name], strict=True))
            before = [set(x) for x in signs[d.name]]
            for fields in d.fields.values():
                for f in fields:
                    occurrences(f, 1, out)
            grew = grew or before != signs[d.name]
    return {
        name: tuple([0 if {1, -1} <= x else (-1 if x == {-1} else 1) for x in params])
        for name, params in signs.items()
    }
