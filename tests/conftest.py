"""What every test stands on: one name per module, fixed seeds, the CPU, one compilation cache."""

from __future__ import annotations

import gc
import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# Before JAX is imported, by tests and by the processes they start.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.02")
# What tests compile runs for moments. XLA's newer emitters of loops vectorise better, and take two
# to three times as long to compile them; laws do not depend on who does. Many files of object code a
# program are for idle cores. `make test-all`, `make bench` and users have XLA's defaults; so have
# versions that these options were not tried with, which might not know them.
if version("jaxlib").startswith("0.10."):
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
    )
# programs of earlier processes would hide what a test changes in this one
os.environ.setdefault("PPL_COMPILATION_CACHE", "off")
os.environ.setdefault("MPLBACKEND", "Agg")
# threads of BLAS that wait for one another on a busy core turn microseconds into milliseconds
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("deterministic", derandomize=True, database=None, **_common)
settings.register_profile("soak", max_examples=2_000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "deterministic"))


#: modules with tests of up to a minute, which come first: none of them is then waited for alone
_LONG = ("test_docs.py", "test_examples.py", "test_devices.py", "test_exactness.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in _LONG)


_environment = dict(os.environ)


def pytest_collection_finish() -> None:
    """What a test module sets when imported, the processes of all tests would run under.

    Modules and tests stay to the end, and tracing makes many objects that live long: Python would
    look through all of them for garbage every few milliseconds, a sixth of the time of all tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    names = [
        n for n, v in os.environ.items() if n[:3] in ("JAX", "XLA") and _environment.get(n) != v
    ]
    assert not names, f"collecting the tests set {names}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item):
    """`lang` next to `ppl.lang` would be a second copy of every class."""
    try:
        return (yield)
    finally:
        doubled = {"lang", "semantics", "inference"} & sys.modules.keys()
        assert not doubled, f"{item.nodeid} imported {doubled}: import it from ppl"


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="module")
def quick_compilation():
    """Without the optimiser, for programs that are compiled, run once and forgotten."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
