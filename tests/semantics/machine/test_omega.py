"""Draws are functions of key, step, slot and path; paths of different sites have different hashes;
tables of memoised draws are values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ppl.semantics.machine import omega, paths
from ppl.semantics.machine.codegen.paths import At
from ppl.semantics.machine.distributions import family
from ppl.semantics.machine.memo import EMPTY, SMALL
from ppl.semantics.machine.omega import Generator, MachineKey

STEPS = st.one_of(
    st.sampled_from(["a", "b", "then", "else", "x#2"]), st.integers(0, 50).map(lambda i: (i,))
)


def test_the_hash_of_a_path_is_what_the_module_says():
    """The specification, computed once more from its text."""
    import hashlib

    def key(step):
        if isinstance(step, tuple):
            return step[0] * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D
        return int.from_bytes(hashlib.blake2b(step.encode(), digest_size=8).digest(), "little")

    path = ("zs", (3,), "stop")
    h = 0x243F6A8885A308D3
    for step in path:
        h = (h * 0x9E3779B97F4A7C15 + key(step)) % 2**64
    assert paths.hash_of(path) == h == 10709069306063212144


def test_uniform_numbers_are_inside_the_interval_whatever_the_bits(monkeypatch):
    """The largest 64 bits are no 1.0, nor the smallest a 0.0: quantiles there are infinite."""
    for z in (0, 1, 2**63, 2**64 - 2**11, 2**64 - 1):
        for module in (omega, family):
            monkeypatch.setattr(module, "mix", lambda _, z=z: z)
        numbers = Generator(5).uniform(), family.child(7, 0)[0]
        assert all(0 < u < 1 and abs(u - z / 2**64) < 1e-15 for u in numbers)
        monkeypatch.setattr(omega, "bits", lambda _, z=z: z)
        assert 0 < MachineKey(1).uniform(9) < 1


@given(st.lists(STEPS, max_size=8))
def test_steps_fold_into_one_multiplication(steps):
    at, h = At("p"), 12345
    for step in steps:
        if isinstance(step, str):
            at = at.step(step)
            h = paths.step_hash(h, step)
    assert eval(at.text(), {"p": 12345}) == h
    assert eval(at.indexed("i"), {"p": 12345, "i": 7}) == paths.step_hash(h, (7,))


def test_hashes_of_many_paths_differ():
    seen = set()
    for i, j, k in itertools.product(range(60), range(60), range(20)):
        seen.add(paths.hash_of(("x", (i,), (j,), "y", (k,))))
    assert len(seen) == 60 * 60 * 20
    words = {
        paths.hash_of(w) for n in range(13) for w in itertools.product(("then", "else"), repeat=n)
    }
    assert len(words) == 2**13 - 1


@pytest.mark.parametrize("what", ["paths", "nested", "slots", "steps", "seeds", "one generator"])
def test_draws_are_uniform_and_uncorrelated(what):
    """Chi-square over 64 cells, and over 8 x 8 cells of neighbours. p > 1e-6 with a fixed seed."""
    n = 20_000
    key = MachineKey(7)
    at = paths.hash_of(("x",))
    if what == "paths":
        u = [key.uniform(paths.step_hash(at, (i,))) for i in range(n)]
    elif what == "nested":
        u = [key.uniform(paths.hash_of(("x", (i,), (j,)))) for i in range(200) for j in range(100)]
    elif what == "slots":
        u = [key.at(3, i).uniform(at) for i in range(n)]
    elif what == "steps":
        u = [key.at(i, 3).uniform(at) for i in range(n)]
    elif what == "seeds":
        u = [MachineKey(i).uniform(at) for i in range(n)]
    else:
        g = Generator(at)
        u = [g.uniform() for _ in range(n)]
    u = np.array(u)
    assert stats.chisquare(np.bincount((u * 64).astype(int), minlength=64)).pvalue > 1e-6
    pairs = (u[:-1] * 8).astype(int) * 8 + (u[1:] * 8).astype(int)
    assert stats.chisquare(np.bincount(pairs[::2], minlength=64)).pvalue > 1e-6
    assert 0 < u.min() and u.max() < 1


def test_siblings_do_not_share_futures():
    at = paths.hash_of(("x",))
    draws = {MachineKey(1, step, slot).uniform(at) for step in range(50) for slot in range(50)}
    assert len(draws) == 2_500


class Clash:
    """A key whose hash is one of a few."""

    def __init__(self, x: int):
        self.x = x

    def __hash__(self) -> int:
        return (self.x % 3) * 2**40 - 2**41

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Clash) and other.x == self.x


@pytest.mark.parametrize("key", [int, str, lambda i: (i, "x"), Clash])
def test_tables_are_values(key):
    tables, model = [EMPTY], {}
    for i in range(5 * SMALL):
        new = {key(2 * i): i, key(2 * i + 1): -i}
        model |= new
        tables.append(tables[-1].extended(new))
    assert dict(tables[-1].items()) == model
    for n in (0, 1, SMALL // 2, SMALL // 2 + 1, 3 * SMALL):
        assert len(tables[n]) == 2 * n
        assert tables[n].get(key(2 * n - 2), None) == (n - 1 if n else None)
        assert tables[n].get(key(2 * n), None) is None
        assert dict(tables[n].items()) == {k: v for k, v in list(model.items())[: 2 * n]}
