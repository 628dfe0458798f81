"""What `ppl run examples/eight_schools` does, as a NumPyro script: the other side of `startup`."""

import json
import os
from pathlib import Path

import jax
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

numpyro.enable_x64()
numpyro.set_host_device_count(4)  # a chain a device: the fastest way on CPUs, cold and warm
if cache := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def eight_schools(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


data = json.loads((Path(__file__).parent.parent / "examples/eight_schools/data.json").read_text())
y, sigma = jax.numpy.array(data["y"], float), jax.numpy.array(data["sigma"], float)
mcmc = MCMC(
    NUTS(eight_schools),
    num_warmup=1000,
    num_samples=1000,
    num_chains=4,
    chain_method="parallel",
    progress_bar=False,
)
mcmc.run(jax.random.key(1), y, sigma)
mcmc.print_summary()
