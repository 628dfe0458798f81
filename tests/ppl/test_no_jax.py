"""The machine does without JAX, whatever is asked of it."""

import subprocess
import sys

SCRIPT = """
import sys
import ppl

MODELS = ppl.compile('''
  fn trials(p: prob) -> measure[nat] {
    x ~ bernoulli(p)
    if x { return 0 } else { n ~ trials(p); return n + 1 }
  }
  model waits(seen: real) {
    n ~ trials(0.4)
    observe seen ~ normal(n, 1)
    return n
  }
  model three() {
    a ~ bernoulli(0.3)
    f ~ mem(fn (k: nat) => bernoulli(0.2))
    return f(if a { 3 } else { 1 })
  }
''')
waits = MODELS.waits(seen=1.5)
methods = ppl.importance(particles=20), ppl.smc(particles=20), ppl.mcmc(chains=1, draws=20, warmup=0)
for method in methods:
    posterior = ppl.infer(waits, method, progress=False)
    assert posterior.result.size == 20 and "n" in posterior.draws
assert abs(ppl.infer(MODELS.three(), ppl.exact(), progress=False).evidence) < 1e-12
seen = ppl.infer(waits, methods[0], progress=False)
assert seen.predict().draws and seen.log_likelihood() and ppl.prior(waits, draws=3).draws
other = ppl.counterfactual(waits, {"n/x": True}, do={"n/x": False}, method=methods[0], progress=False)
assert other["seen"].shape == (1, 20)
print(sorted({"jax", "jaxlib", "numpyro"} & sys.modules.keys()))
"""


def test_inference_on_the_machine_imports_no_jax():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
