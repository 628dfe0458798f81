"""JAX's persistent compilation cache: on by default, in the user's cache folder.

A model compiles once for each shape of its data, and a later process reads what an earlier one
compiled. Nothing happens at import: inference calls `use_compilation_cache` before it compiles.
Beside it are whole programs (`ppl.kept`), which a later process need not even trace.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

#: "0", "off" or "false" turns the cache off; anything else is the folder to use
VARIABLE = "PPL_COMPILATION_CACHE"

#: seconds of compilation below which JAX does not write a program to disk
_LEAST_SECONDS = 0.1


@cache
def use_compilation_cache() -> Path | None:
    """Turn the cache on once a process, unless the user has set JAX's own; the folder in use.

    The user's own configuration (`JAX_COMPILATION_CACHE_DIR`, `jax.config`) is left as it is, and a
    folder that cannot be written means no cache, not an error.
    """
    import jax

    config: Any = jax.config
    chosen = os.environ.get(VARIABLE, "")
    if _is_off(chosen) or not config.jax_enable_compilation_cache:
        return None
    if config.jax_compilation_cache_dir is not None:
        return Path(config.jax_compilation_cache_dir)
    folder = Path(chosen) if chosen else _user_folder() / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    return folder


def programs_folder() -> Path | None:
    """The folder of whole programs, which are code that runs as it is: None unless it is the user's
    alone, and where the cache is off."""
    import jax

    from ppl.inference.executables import is_private

    config: Any = jax.config
    chosen = os.environ.get(VARIABLE, "")
    if _is_off(chosen) or not config.jax_enable_compilation_cache:
        return None
    folder = (Path(chosen) if chosen else _user_folder()) / "programs"
    return folder if is_private(folder) else None


def _is_off(chosen: str) -> bool:
    return chosen.lower() in ("0", "off", "false")


def _user_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("quasiborel")
