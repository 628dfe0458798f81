"""`python -m tests.verify.suite`, see `run`."""

import os
from importlib.metadata import version

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# one core a process: XLA's own threads would only take turns. What is compiled runs a few times:
# the newer emitters of loops, which vectorise better, take twice as long to compile them (versions
# that their option was not tried with have them).
# Here, not where it is imported: tests that start processes would hand them other roundings.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true"
    + " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    * version("jaxlib").startswith("0.10."),
)

from tests.verify.suite.run import main

if __name__ == "__main__":
    raise SystemExit(main())
