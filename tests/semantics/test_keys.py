"""Keys are JAX's, bit for bit."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ppl.semantics import keys
from ppl.semantics.precision import precision


@pytest.mark.parametrize("numbers", ["single", "double"])
def test_bits_are_those_of_jax(numbers):
    def seen(key):
        some = jax.random.split(key, (2, 3))
        return [
            jax.random.key_data(some),
            jax.random.key_data(jax.random.fold_in(key, 0xFEDC_BA98)),
            *(jax.random.bits(some[1, 2], (5, 3), f"uint{w}") for w in (8, 16, 32)),
            jax.random.uniform(key, (7,)),
            jax.vmap(lambda k: jax.random.normal(k, (4,)))(some[0]),
            jax.random.randint(key, (6,), -3, 11),
            jax.random.bits(key, ()),
        ]

    with precision(numbers):
        for seed in (0, 1, 2**31 - 1, np.int64(-7), 2**63 - 25 if numbers == "double" else 5):
            ours, theirs = keys.key(seed), jax.random.key(seed)
            if not np.array_equal(keys.words(ours), jax.random.key_data(theirs)):
                raise AssertionError(seed)
            again = keys.wrap(keys.words(ours))
            for a, b, c in zip(*map(jax.jit(seen), (ours, theirs, again)), strict=True):
                np.testing.assert_array_equal(a, b)
                np.testing.assert_array_equal(c, b)


def test_counters_do_not_come_round():
    with pytest.raises(ValueError, match=r"at most 2\^32"):
        keys.threefry_bits(keys.seed_words(0), 32, (2**20, 2**13))


def test_loops_that_draw_do_not_make_their_keys():
    """Rounds of a key, numbers alone, are in no loop over the 37 that are drawn: many of them in one
    would take LLVM forever."""

    def three(key):
        first, second = jax.random.split(key)
        keys_ = first, second, jax.random.fold_in(second, 5)
        return sum(jax.random.uniform(k, (37,)) for k in keys_)

    text = jax.jit(three).lower(keys.key(1)).compile().as_text() or ""
    loops = [part for part in text.split("\n\n") if "u32[37]{0} shift-left" in part]
    assert loops
    assert not any("u32[] shift-left" in part or "u32[1]{0} shift-left" in part for part in loops)
