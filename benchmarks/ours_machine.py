"""One of our programs on the machine in a process of its own: the twin of `webppl.js`.

    python -m benchmarks.ours_machine NAME forward|smc|mcmc|blocks|smc-xla|mcmc-xla N

Prints, as JSON, the processor seconds that inference took (not importing and compiling), those of
the whole process, the mean of the results, and its standard error for `forward`. `blocks` is one
run in block code, of a recursion N deep. `smc-xla` and `mcmc-xla` are the same on XLA, compiled by
a first run.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from time import process_time
from typing import Any

MODELS = Path(__file__).parent / "models"
DATA: dict[str, dict[str, Any]] = {
    "walk_filter": {
        "ys": [0.3, -0.2, 0.9, 1.4, 0.6, 1.9, 2.4, 1.7, 2.9, 3.1]
        + [2.2, 2.6, 3.5, 3.9, 3.0, 4.4, 4.1, 3.6, 4.9, 5.2]
    },
    "changes": {
        "xs": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5],
        "ys": [0.4, 0.9, 0.2, 0.7, -0.8, -1.1, -0.5, 1.3, 1.6, 1.1],
    },
    "regression": {
        "xs": [
            -2.0, -1.918, -1.837, -1.755, -1.673, -1.592, -1.51, -1.429, -1.347, -1.265,
            -1.184, -1.102, -1.02, -0.939, -0.857, -0.776, -0.694, -0.612, -0.531, -0.449,
            -0.367, -0.286, -0.204, -0.122, -0.041, 0.041, 0.122, 0.204, 0.286, 0.367,
            0.449, 0.531, 0.612, 0.694, 0.776, 0.857, 0.939, 1.02, 1.102, 1.184,
            1.265, 1.347, 1.429, 1.51, 1.592, 1.673, 1.755, 1.837, 1.918, 2.0,
        ],
        "ys": [
            -1.511, -2.175, -1.153, -2.691, -0.142, -1.522, -0.836, -0.536, -0.855, -0.801,
            -1.912, -0.878, -1.06, -0.519, -2.574, -1.555, -0.436, 0.112, -0.151, -0.765,
            -0.251, -0.015, -2.011, -0.088, 0.037, 0.216, 1.113, 0.06, 1.428, 1.432,
            1.635, 1.593, 2.336, 3.206, 1.551, 1.164, 2.174, 3.7, 2.163, 2.061,
            1.833, 1.592, 1.682, 4.953, 2.202, 1.92, 2.781, 3.68, 2.323, 2.714,
        ],
    },
    "hmm20": {
        "ys": [
            -0.18, 0.696, -0.468, 2.335, 0.123, 1.065, 0.553, -1.305, -0.343, -0.874,
            -0.761, -0.58, -1.205, -0.368, 2.284, 2.851, 2.805, 2.052, 4.207, -0.455,
        ],
    },
}  # fmt: skip


def measure(name: str, method: str, n: int) -> dict[str, float]:
    """Infer once. `n`: draws, particles, or steps of a chain (after a twentieth of them)."""
    from ppl.model import load
    from ppl.semantics.machine import MachineKey
    from ppl.semantics.machine.omega import slots_of

    given = {"depth": n} if method == "blocks" else DATA.get(name, {})
    target = load(MODELS / f"{name}.ppl")[name](**given)
    if method.endswith("-xla"):
        return on_xla(target, method, n)
    machine, key = target.machine, MachineKey(1)
    data = machine.bind(target.values)
    if method == "blocks":
        from ppl.semantics.machine.code import DONE
        from ppl.semantics.machine.codegen.unit import Options
        from ppl.semantics.machine.state import State

        code = machine.code(Options())
        begun = process_time()
        frame = (code._block, DONE, code.root, *data.values)
        value = code.drive(State(key, code), frame, None)
        return {"seconds": process_time() - begun, "mean": value}
    if method == "smc":
        from ppl.inference.smc import Smc, run_smc

        start = machine.start(data, record=False, keyed=True)
        begun = process_time()
        found = run_smc(start, Smc(particles=n, threshold=1.0), key)
        values, weights = [e.result for e in found.runs], found.population.weights
        mean = float(sum(w * v for w, v in zip(weights, values, strict=True)))
        return {"seconds": process_time() - begun, "mean": mean}
    if method == "mcmc":
        from ppl.inference.kernels.machine.program import Program
        from ppl.inference.mcmc import Mcmc, run_chain

        program, settings = Program.of(machine, target.plain), Mcmc(draws=n, warmup=n // 20)
        begun = process_time()
        chain = run_chain(program, None, settings, key, 0)
        values = [t.execution.result for t in chain.traces]
    else:
        run = machine.runner(data, record=False, keyed=True)
        begun = process_time()
        values = [run(omega).result for omega in slots_of(key, 0, n)]
    mean = sum(values) / n
    seconds = process_time() - begun
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / n)
    return {"seconds": seconds, "mean": mean, "error": spread / math.sqrt(n)}


def on_xla(target: Any, method: str, n: int) -> dict[str, float]:
    """Infer twice; the second run is measured. A prior kernel, as on the machine."""
    import ppl

    chosen = (
        ppl.smc(particles=n, threshold=1.0)
        if method == "smc-xla"
        else ppl.mcmc(kernel=ppl.kernels.prior(), chains=1, draws=n, warmup=n // 20)
    )
    for seed in (1, 2):
        begun = process_time()
        found = ppl.infer(target, chosen, engine="xla", seed=seed, progress=False)
        mean = float((found.weights * found.result).sum())
        seconds = process_time() - begun
    return {"seconds": seconds, "mean": mean, "error": math.nan}


if __name__ == "__main__":
    _, name, method, n = sys.argv
    found = measure(name, method, int(n))
    print(json.dumps({**found, "whole": process_time()}))
