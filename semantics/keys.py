"""Keys of the Threefry generator, bit for bit those of JAX, with its rounds written out.

On CPUs JAX runs the twenty rounds of Threefry-2x32 (Salmon et al. 2011) as a loop, each pass of
which goes through memory and is dispatched by itself. Written out they are one loop over the
counters, which the compiler vectorises: two to three times as fast, for one key or a million draws.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics.jax_compat import define_prng_impl

Array = Any

_ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
_PARITY = 0x1BD11BDA
#: words of keys, as many as what draws by itself splits
_FEW = 64


@jax.jit
def threefry(key: Array, high: Array, low: Array) -> tuple[Array, Array]:
    """The block cipher: words of counters under the key's two, all `uint32`. Law: a bijection of
    counters for every key."""
    keys = key[0], key[1], key[0] ^ key[1] ^ np.uint32(_PARITY)
    a, b = high + keys[0], low + keys[1]
    for i in range(5):
        for r in _ROTATIONS[i % 2]:
            a = a + b
            b = a ^ ((b << np.uint32(r)) | (b >> np.uint32(32 - r)))
        a, b = a + keys[(i + 1) % 3], b + keys[(i + 2) % 3] + np.uint32(i + 1)
    return a, b


def _seed(seed: Array) -> Array:
    """A seed's 64 bits, as many as its type has."""
    low = seed.astype(jnp.uint32)
    high = (seed >> 32).astype(jnp.uint32) if seed.dtype.itemsize == 8 else jnp.zeros_like(low)
    return jnp.stack([high, low])


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    made = jnp.stack(threefry(key, *_counters(shape)), axis=-1)
    return _made_once(made, key) if made.size <= _FEW else made


def _fold_in(key: Array, data: Array) -> Array:
    words = _seed(jnp.asarray(data, jnp.uint32))
    return _made_once(jnp.stack(threefry(key, words[0], words[1])), key)


def _made_once(made: Array, key: Array) -> Array:
    """Words that no loop which draws with them makes again for every number, as XLA would: it moves
    no integer that is divided into loops. LLVM takes exponentially long over the rounds of more
    than a few keys in one."""
    one = jnp.maximum(key[0] >> np.uint32(31), np.uint32(1))
    return jax.lax.div(made, jnp.broadcast_to(one, made.shape))


def threefry_bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    """Integers of 8, 16, 32 or 64 bits."""
    high, low = threefry(key, *_counters(shape))
    if width == 64:
        return high.astype(jnp.uint64) << np.uint64(32) | low.astype(jnp.uint64)
    return (high ^ low).astype(f"uint{width}")


def _counters(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """0, 1, … in this shape, as pairs of words."""
    n = math.prod(shape)
    if n > 2**32:
        raise ValueError(f"{n} numbers in one draw; at most 2^32 are distinct")
    low = jax.lax.iota(jnp.uint32, n).reshape(shape)
    return jnp.zeros_like(low), low


_THREEFRY = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=threefry_bits,
    fold_in=_fold_in,
    name="threefry2x32_unrolled",
    tag="fryu",
)


def key(seed: Any) -> Array:
    """The key of a seed, an integer or an array of one."""
    return jax.random.key(seed, impl=_THREEFRY)  # type: ignore[arg-type]


def wrap(words: Array) -> Array:
    """The keys whose words these are: `uint32`, trailing axis 2."""
    return jax.random.wrap_key_data(jnp.asarray(words), impl=_THREEFRY)  # type: ignore[arg-type]


def rolled(words: Array) -> Array:
    """The same keys in JAX's own form, whose rounds are a loop: slower to draw from, and quicker to
    compile, for what is drawn once."""
    return jax.random.wrap_key_data(jnp.asarray(words), impl="threefry2x32")


def poisson(key: Array, rate: Array, shape: tuple[int, ...]) -> Array:
    """Poisson draws; JAX makes them from its own kind of key alone, which this is no other than."""
    return jax.random.poisson(rolled(words(key)), rate, shape)


def seed_words(seed: int) -> np.ndarray:
    """The words of the key of a seed of up to 64 bits; the same in both precisions."""
    return np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)


def words(key: Array) -> Array:
    """The words of keys, trailing axis 2."""
    return jax.random.key_data(key)
