"""Standard normals are those of their words; the words' lattice is even; the law is the normal one,
tails included. False-alarm rate 1e-6 a test."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ppl.semantics import keys
from ppl.semantics.distributions.normals import GOLDEN, normals_of, standard_normals
from ppl.semantics.precision import precision

FALSE_ALARM = 1e-6
NUMBERS = {"single": np.uint32, "double": np.uint64}


def words_of(n, kind, below=None):
    top = np.iinfo(kind).max if below is None else below - 1
    return np.random.default_rng(5).integers(0, top, n, kind, endpoint=True)


def normals(words, numbers):
    with precision(numbers):
        return np.asarray(jax.jit(normals_of)(jnp.asarray(words)))


@pytest.mark.parametrize("numbers", NUMBERS)
def test_radius_and_angle_are_those_of_the_word(numbers):
    """By integers, and the C library's logarithm and sine."""
    kind = NUMBERS[numbers]
    width, golden = np.iinfo(kind).bits, GOLDEN[np.iinfo(kind).bits]
    edges = [0, 1, 2**12, 2 ** (width - 1) - 1, 2 ** (width - 1), 2**width - 2**12, 2**width - 1]
    powers = [x << k for k in range(width - 3) for x in (3, 5, 7)]
    words = np.concatenate([np.array(edges + powers, kind), words_of(20_000, kind)])
    found = normals(words, numbers)
    angles = [int(w) * golden % 2**width for w in words]
    if numbers == "double":  # 51 bits of each, and half of one more
        u = np.array([(2**51 - (int(w) >> 13) - 0.5) / 2**51 for w in words])
        v = np.array([((a >> 13) + 0.5) / 2**50 - 1 for a in angles])
    else:  # rounded to 24 bits, wherever they begin
        half = np.float32(0.5)
        u = (words.astype(np.float32) + half).astype(float) / 2**32
        v = (np.array(angles, np.uint32).view(np.int32).astype(np.float32) + half) / 2**31
    told = np.sqrt(-2 * np.log(u)) * np.sin(np.pi / 2 * v)
    eps = np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, told, rtol=6 * eps, atol=2 * eps)
    assert found.dtype.itemsize * 8 == width


@pytest.mark.parametrize("width", GOLDEN)
def test_lattice_is_as_even_as_the_golden_ratio_makes_it(width):
    """Its discrepancy is bounded by the partial quotients' sum over the number of points; those of
    an odd number at random have one as large as 2ᵏ with probability about 60 / 2ᵏ."""
    a, b, quotients = GOLDEN[width], 2**width, []
    assert a % 2 == 1
    while a:
        quotients.append(b // a)
        a, b = b % a, a
    assert b == 1
    assert max(quotients) <= {32: 3, 64: 5}[width]
    assert sum(quotients) <= {32: 49, 64: 102}[width]


@pytest.mark.parametrize("numbers", NUMBERS)
def test_draws_are_normal(numbers):
    with precision(numbers):
        draws = jax.jit(lambda k: standard_normals(k, (3, 50_000)))(keys.key(8))
        x = np.asarray(draws, float)
    assert stats.kstest(x.ravel(), "norm").pvalue > FALSE_ALARM / 2
    # neighbours: the sum of a number and twice the next is normal with variance 5
    pairs = (x[0] + 2 * np.roll(x[0], -1)) / 5**0.5
    assert stats.kstest(pairs[::2], "norm").pvalue > FALSE_ALARM / 2


def test_tails_in_double_precision():
    """Numbers beyond t come from radii beyond t: among those they are as frequent as among all,
    over how frequent the radii are."""
    n, rare = 400_000, 2.0**-32
    x = normals(~words_of(n, np.uint64, below=2**32), "double")
    for t in (6.7, 7.0, 7.3):
        p = float(stats.norm.sf(t)) / rare
        for count in (np.sum(x > t), np.sum(x < -t)):
            assert stats.binomtest(int(count), n, p).pvalue > FALSE_ALARM / 6


def test_tails_in_single_precision():
    """Of all 2³² words, those beyond t are counted: the lattice has as many as it should, up to
    less than a tenth of what independent points would."""
    x = normals(np.arange(2**20, dtype=np.uint32), "single")  # radii above 4.07
    for t in (4.1, 4.5, 5.0, 5.5, 6.0):
        for count in (np.sum(x > t), np.sum(x < -t)):
            assert abs(count - 2**32 * stats.norm.sf(t)) < 6 + 0.1 * count**0.5, (t, count)
