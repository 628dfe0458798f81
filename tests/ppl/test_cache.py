"""JAX's compilation cache: on in the user's folder, off on request, never over the user's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SCRIPT = """
import json, os, sys
import jax
import ppl, ppl.cache

def use(**environment):
    os.environ.update(environment)
    folder = ppl.cache.use_compilation_cache.__wrapped__()
    return [folder and str(folder), jax.config.jax_compilation_cache_dir]

found = {"import": jax.config.jax_compilation_cache_dir}
found["off"] = use(PPL_COMPILATION_CACHE="off")
found["unwritable"] = use(PPL_COMPILATION_CACHE="/proc/none")
found["default"] = use(PPL_COMPILATION_CACHE="")
jax.config.update("jax_compilation_cache_dir", None)
found["chosen"] = use(PPL_COMPILATION_CACHE=sys.argv[1])
found["again"] = use(PPL_COMPILATION_CACHE="elsewhere")
jax.config.update("jax_compilation_cache_dir", "mine")
found["own"] = use(PPL_COMPILATION_CACHE=sys.argv[1])
jax.config.update("jax_enable_compilation_cache", False)
found["disabled"] = use(PPL_COMPILATION_CACHE=sys.argv[1])
print(json.dumps(found))
"""


def test_where_compiled_programs_are_kept(root, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path / "home")}
    chosen = str(tmp_path / "chosen")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, chosen],
        cwd=root, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(run.stdout)
    assert found["import"] is None
    assert found["off"] == found["unwritable"] == [None, None]
    default, configured = found["default"]
    assert default == configured and default.startswith(str(tmp_path)) and "quasiborel" in default
    assert found["chosen"] == found["again"] == [chosen, chosen]
    assert found["own"] == ["mine", "mine"]
    assert found["disabled"] == [None, "mine"]
