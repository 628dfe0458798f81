"""A seed gives the same on one device and on four."""

import json
import os
import subprocess
import sys

SCRIPT = '''
import json, sys, ppl
target = ppl.compile("""
model walk(ys: [real]) {
  s ~ gamma(2, 3)
  xs ~ scan x = 0.0 for y in ys { x ~ normal(x, s); observe y ~ normal(x, 0.7); return x }
  k ~ categorical([0.2, 0.5, 0.3])
  return k
}
""").walk(ys=[0.3, -1.1, 0.6])
devices = []
from ppl.inference import importance
shared = importance.PartitionSpec
importance.PartitionSpec = lambda *axes: devices.extend(axes) or shared(*axes)
found = ppl.infer(target, ppl.importance(particles=21_001), seed=11, progress=False)
rows = [float(found["s"].sum()), float(found["xs"][0, 17_003, 2]), int(found["k"].sum())]
print(json.dumps([*rows, float(found.log_evidence), found.shape, devices]))
'''


def test_importance_samples_do_not_depend_on_the_number_of_devices():
    found = []
    for devices in (1, 4):
        flags = f"--xla_force_host_platform_device_count={devices}"
        out = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"XLA_FLAGS": flags},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(out.stdout))
    assert found[0][:-1] == found[1][:-1]
    assert found[0][-2] == [1, 21_001]
    assert [f[-1] for f in found] == [[], ["block"]], "it is shared if there are several"
