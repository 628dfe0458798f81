"""A seed gives the same on one device and on four, in one process and in two."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import ppl

TEXT = """
model walk(ys: [real]) {
  s ~ half_normal(1)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, s); observe y ~ normal(x, 0.7); return x }
  k ~ bernoulli(0.3)
  return k
}
model one(y: [real]) { mu ~ normal(0, 3); s ~ half_normal(2); observe y ~ normal(mu, s) }
"""
MODELS = ppl.compile(TEXT)
WALK, ONE = MODELS.walk(ys=[0.3, -1.1, 0.6]), MODELS.one(y=[1.2, 0.4, 2.9])
DRAWN = ppl.importance(particles=21_001)
PARTICLES = ppl.smc(particles=244, threshold=0.9)
WARM = ppl.tempered_smc(
    particles=60, replicas=1, temperatures=3, kernel="random_walk", moves=2, pilot=False
)
CHAINS = ppl.nuts(chains=4, warmup=4, draws=3)


def rows(target, method) -> dict[str, Any]:
    """What is found, as numbers that print exactly."""
    found = ppl.infer(target, method, seed=11, progress=False)
    draws = {k: np.asarray(v, float).ravel()[::7][:400].tolist() for k, v in found.draws.items()}
    return draws | {"evidence": found.evidence}


# the first argument says what; then, in one of two processes, where they meet and which it is
SCRIPT = """
import json, sys
import jax
if len(sys.argv) > 2:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(sys.argv[2], 2, int(sys.argv[3]))
from ppl.inference import importance
from ppl.semantics.xla import sharing
from tests.inference import test_devices as here

who, spec, placed = [], importance.PartitionSpec, sharing._placed
importance.PartitionSpec = lambda *axes: who.extend(axes) or spec(*axes)
sharing._placed = lambda x, mesh, axes: who.append(mesh.size) or placed(x, mesh, axes)
found = [here.rows(getattr(here, t), getattr(here, m)) for t, m in json.loads(sys.argv[1])]
print(json.dumps([found, sorted({str(x) for x in who})]))
"""


def begun(what, *meeting, devices=1):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(what), *meeting],
        env=os.environ | {"XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def of_two_processes(what):
    """What each of two finds. Processes that a busy machine keeps from meeting in time are begun
    again: what they find is not looked at then."""
    for _ in range(4):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{free.getsockname()[1]}"
        pair = [begun(what, place, str(rank)) for rank in (0, 1)]
        with ThreadPoolExecutor(2) as pool:  # neither ends before the other was read
            out = list(pool.map(ended, pair))
        late = any(word in err for _, err in out for word in ("timeout", "timed out", "barrier"))
        if all(process.returncode == 0 for process in pair) or not late:
            return [told(process, *texts) for process, texts in zip(pair, out, strict=True)]
    raise AssertionError("two processes never met in time")


def ended(process):
    """What it printed, and its errors."""
    with process:
        try:
            return process.communicate(timeout=200)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0], "timeout"


def told(process, out, err):
    assert process.returncode == 0, err[-2_000:]
    return json.loads(out.strip().splitlines()[-1])


BITS = [("WALK", "DRAWN"), ("WALK", "PARTICLES")]
NEAR = [("ONE", "WARM"), ("ONE", "CHAINS")]


def test_particles_do_not_depend_on_the_number_of_devices_or_processes():
    """Bit for bit, resampling included."""
    one = begun(BITS, devices=4)
    several = [(told(one, *ended(one)), "4"), *((pair, "2") for pair in of_two_processes(BITS))]
    expected = [rows(WALK, method) for method in (DRAWN, PARTICLES)]
    for (found, who), devices in several:
        assert found == expected
        assert who == [devices, "block"], "what there is, is shared"


@pytest.mark.soak
def test_moved_particles_and_chains_do_not_either():
    """To rounding: sums within a density may be made in another order where a device has fewer
    rows."""
    one = begun(NEAR, devices=4)
    several = [(told(one, *ended(one)), "4"), *((pair, "2") for pair in of_two_processes(NEAR))]
    expected = [rows(ONE, method) for method in (WARM, CHAINS)]
    for (found, who), devices in several:
        assert devices in who
        for a, b in zip(found, expected, strict=True):
            assert a.keys() == b.keys()
            for name in a:
                if b[name] is not None:
                    np.testing.assert_allclose(a[name], b[name], rtol=1e-9)
