"""Maps against Python's dicts, persistence, order, and maps as keys, data and results."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ppl
from ppl.semantics import ir_parse
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.ir_print import show
from ppl.semantics.ir_verify import verify
from ppl.semantics.machine import MachineKey, enumerate_paths
from ppl.semantics.machine.maps import MAPS, Map
from ppl.semantics.machine.memo import SMALL
from ppl.semantics.signatures import MAP_ROWS


class Clash:
    """Keys of few hashes: the leaves of the trie hold several."""

    def __init__(self, n: int):
        self.n = n

    def __hash__(self) -> int:
        return self.n % 7 << 40

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Clash) and other.n == self.n

    def __lt__(self, other: Clash) -> bool:
        return self.n < other.n


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3 * SMALL), st.integers(0, 9)), max_size=600),
    st.sampled_from([int, Clash, lambda n: (n % 5, str(n)), float]),
)
@settings(max_examples=60)
def test_against_dicts(steps, key):
    """Every version stays as it was, however many follow."""
    m, d = Map(), {}
    versions = []
    for i, (put, n, v) in enumerate(steps):
        k = key(n)
        m, d = (
            (m.put(k, v), {**d, k: v})
            if put
            else (m.remove(k), {x: y for x, y in d.items() if x != k})
        )
        if i % 40 == 0:
            versions.append((m, d))
    for old, dict_then in [*versions, (m, d)]:
        assert dict(old.entries()) == dict_then and len(old) == len(dict_then)
        assert list(old) == sorted(dict_then)
        assert all(old.get(k) == v and k in old for k, v in dict_then.items())
        assert old.get(key(10**6), "no") == "no"


@given(
    st.dictionaries(st.tuples(st.integers(0, 50), st.text(max_size=2)), st.floats(), max_size=150)
)
@settings(max_examples=40)
def test_equal_maps_cannot_be_told_apart(d):
    one = Map.of(d.items())
    other = Map.of([((99, "x"), 0.0), *reversed(d.items())]).remove((99, "x"))
    if all(v == v for v in d.values()):
        assert one == other
    assert hash(one) == hash(other) and repr(one) == repr(other)
    assert one.entries() == other.entries() or any(v != v for v in d.values())
    assert one.put((99, "x"), 1.0) != one


def test_nan_is_a_key_like_others():
    m = Map.of([(math.nan, 1), (2.0, 2), (float("nan"), 3), ((1.0, math.nan), 4)][:3])
    assert [v for _, v in m.entries()] == [2, 3] and m.get(math.nan * 2) == 3


def test_keys_of_any_depth():
    deep = ()
    for _ in range(100_000):
        deep = (1, deep)
    m = Map.of([(deep, "a")])
    assert (
        m.get((1, deep)) is None and m.get(deep) == "a" and hash(m) == hash(Map.of([(deep, "a")]))
    )


PROGRAM = """
type colour = Red | Mixed(colour, nat)
fn count(xs) { fold m = empty_map() for x in xs { put(m, x, get(m, x, 0) + 1) } }
model m(words: [text], prior: map[text, pos], grid: map[(int, int), bool], ns: [real]) {
  a ~ normal(0, 1)
  let c = count(words)
  return {
    counts: c,
    keys: keys(c),
    values: values(c),
    items: items(put(c, "be", 0)),
    size: (size(c), len(c), size(empty_map())),
    got: (c["to"], get(c, "x", 9), has(c, "x"), has(c, "or")),
    option: (lookup(c, "to"), lookup(c, "x")),
    wider: put(c, "half", 0.5),
    removed: keys(remove(remove(c, "to"), "none")),
    equal: (c == count(reverse(words)), c == remove(c, "to"), c != empty_map()),
    numbers: count(ns),
    tuples: grid[(1, -2)],
    records: get(map_of([({x: 1, y: "a"}, 2), ({x: 2, y: "a"}, 3)]), {y: "a", x: 2}, 0),
    arrays: get(map_of([([1, 2], "u"), ([1, 2, 3], "v")]), [1, 2, 3], ""),
    inductive: count([Mixed(Red, 1), Red, Mixed(Red, 1)]),
    nested: put(empty_map(), c, 1)[count(reverse(words))],
    functions: get(map_of([("double", fn (x: real) => 2 * x)]), "double", fn (x: real) => x)(prior["b"]),
    last: map_of([(1, "a"), (1, "b")]),
    power: prior["a"] ^ -1,
  }
}
"""
DATA = {
    "words": ["to", "be", "or", "not", "to", "be"],
    "prior": {"a": 2, "b": 1.5},
    "grid": [[[1, -2], True], [[0, 0], False]],
    "ns": [2.0, -1.5, 2.0],
}


@pytest.fixture(scope="module")
def target():
    return ppl.compile(PROGRAM).m(**DATA)


def test_in_the_language(target):
    program = target.model.program
    verify(program)
    assert show(ir_parse.read(show(program))) == show(program)
    r = target.model.machine.run(target.values, MachineKey(1)).result
    counts = {"be": 2, "not": 1, "or": 1, "to": 2}
    assert r["counts"] == counts and list(r["counts"]) == r["keys"] == sorted(counts)
    assert r["values"] == [2, 1, 1, 2] and r["items"][0] == ("be", 0)
    assert r["size"] == (4, 4, 0) and r["got"] == (2, 9, False, True)
    assert [str(o) for o in r["option"]] == ["Some(2)", "None"]
    assert r["wider"] == {**counts, "half": 0.5}
    assert all(type(v) is float for v in r["wider"].values())
    assert r["removed"] == ["be", "not", "or"] and r["equal"] == (True, False, True)
    assert r["numbers"] == {-1.5: 1, 2.0: 2} and r["tuples"] is True
    assert (r["records"], r["arrays"], r["nested"]) == (3, "v", 1)
    assert sorted((str(k), v) for k, v in r["inductive"].items()) == [
        ("Mixed(Red, 1)", 2),
        ("Red", 1),
    ]
    assert (r["functions"], r["last"], r["power"]) == (3.0, {1: "b"}, 0.5)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("map_of([])", {}),
        ("keys(empty_map())", []),
        ("get_one(map_of([(1, 2)])) + get_one([5, 6])", 8),
        ("{ let g = fn (m) => m[1]; g(map_of([(1, 2)])) }", 2),
        ("match Box(map_of([(1, 2)])) { Box(m) => m[1] + 0.5 }", 2.5),
        ('[v for (_, v) in items(map_of([(2, "b"), (1, "a")]))]', ["a", "b"]),
        ("map(size, [map_of([(1, 2)]), empty_map()])", [1, 0]),
    ],
)
def test_types_are_found(body, wanted):
    m = ppl.compile(
        f"type box[a] = Box(map[nat, a])\nfn get_one(m) {{ m[1] }}\nmodel m() {{ return {body} }}"
    ).m
    verify(m.program)
    assert m.machine.run({}, MachineKey(1)).result == wanted


def test_every_row_is_tested():
    assert set(MAPS) == MAP_ROWS
    assert all(f"{name}(" in PROGRAM for name in MAP_ROWS - {"value_at"})


def test_the_machine_is_chosen_and_the_reasons_say_why(target):
    engine = target.model.engine
    assert engine.name == "machine"
    said = [n.message for n in engine.reasons]
    assert "the data `prior` are a map" in said and "`empty_map` is about a map" in said


def test_a_key_that_is_not_there():
    m = ppl.compile('model m(w: map[text, nat]) { return w["b"] }').m
    with pytest.raises(DiagnosticError) as error:
        m.machine.run(m(w={"a": 1}).values, MachineKey(1))
    (d,) = error.value.diagnostics
    assert d.code == "E872" and d.span.text == 'w["b"]' and "'b'" in d.message


def test_memoised_functions_of_maps_draw_once_a_value():
    """Two maps that are equal, put together in different orders, are one key."""
    m = ppl.compile("""
model m() {
  f ~ mem(fn (m: map[nat, bool]) => bernoulli(0.25))
  let one = put(put(empty_map(), 2, true), 1, false)
  let same = map_of([(1, false), (2, true), (3, true)])
  return (f(one), f(remove(same, 3)), f(same))
}
""").m
    mass = {}
    for path in enumerate_paths(m.machine, {}):
        x, same, z = path.execution.result
        assert x == same
        mass[x, z] = path.probability
    for (x, z), p in mass.items():
        assert math.isclose(p, (0.25 if x else 0.75) * (0.25 if z else 0.75), rel_tol=1e-12)
    assert len(mass) == 4


@pytest.mark.parametrize(
    ("declared", "value", "code"),
    [
        ("map[text, real]", [1, 2], "E603"),
        ("map[text, real]", 3, "E603"),
        ("map[text, real]", {"a": "b"}, "E603"),
        ("map[text, nat]", {"a": -1}, "E605"),
        ("map[nat, real]", {"1": 2.0}, "E603"),
        ("map[nat, real]", [[0.5, 2.0]], "E603"),
        ("[map[text, nat]]", [{"a": 1}, {"a": True}], "E603"),
    ],
)
def test_data_of_the_wrong_kind(declared, value, code):
    m = ppl.compile(f"model m(w: {declared}) {{ return len(w) }}").m
    with pytest.raises(DiagnosticError) as error:
        m(w=value)
    (d,) = error.value.diagnostics
    assert d.code == code and "`w" in d.message, d


def test_arrays_of_maps_and_maps_of_arrays():
    m = ppl.compile(
        "model m(w: [map[text, nat]], v: map[text, [real]]) { return (w[1], v, sum(v[keys(w[0])[0]])) }"
    ).m
    t = m(w=[{"a": 1}, {"b": 2, "a": 3}], v={"a": [1, 2.5]})
    assert m.machine.run(t.values, MachineKey(1)).result == (
        {"a": 3, "b": 2},
        {"a": [1.0, 2.5]},
        3.5,
    )


def test_python_functions_take_and_give_maps():
    m = ppl.compile(
        'model m(f: map[text, real] -> map[text, real]) { return f(map_of([("a", 1)])) }'
    ).m
    t = m(f=lambda d: {k + "!": 2 * v for k, v in dict(d).items()})
    assert m.machine.run(t.values, MachineKey(1)).result == {"a!": 2.0}
