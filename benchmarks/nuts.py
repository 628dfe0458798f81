"""Wall time of NUTS for each gradient it evaluates, ours against NumPyro's own version of a model.

Both use the same step size, without adaptation, one chain from the mode, compiled before; every
leapfrog step of every transition is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import NUTS

from benchmarks.figures import Figure
from benchmarks.ours import density_of
from benchmarks.problems import PROBLEMS, Problem, mode
from benchmarks.timing import interleaved
from ppl.inference.chains import run_chains
from ppl.inference.hamiltonian import Hamiltonian, hamiltonian_kernel
from ppl.inference.schedule import Schedule

TARGET = 1.1
NAMES = tuple(f"nuts/{name}" for name in PROBLEMS)
STEP_SIZE = {"eight_schools": 0.2, "logistic": 0.02, "hmm": 0.02}
DRAWS = {"eight_schools": 2_000, "logistic": 100, "hmm": 100}


def measure(wanted: Sequence[str]) -> Iterator[Figure]:
    for name in wanted:
        problem = PROBLEMS[name.partition("/")[2]]
        with jax.enable_x64(True):
            contestants = {"ours": _ours(problem), "theirs": _numpyro(problem)}
            gradients = {k: run() for k, run in contestants.items()}
            seconds = interleaved(contestants, rounds=9, warm_up=1)
        cost = {k: seconds[k] / gradients[k] * 1e6 for k in contestants}
        yield Figure(name, cost["ours"], cost["theirs"], TARGET, "us/gradient")


def _ours(problem: Problem) -> Callable[[], int]:
    density, data = density_of(problem)
    settings = Hamiltonian("NUTS", 0, 0.8, False, STEP_SIZE[problem.name])
    kernel = hamiltonian_kernel(density, settings)
    schedule = Schedule(warmup=0, draws=DRAWS[problem.name], chains=1)
    start = mode(problem)

    def run() -> int:
        draws = run_chains(density, kernel, data, schedule, seed=1, start=start)
        return int(np.sum(draws.stats["n_steps"]))

    return run


def _numpyro(problem: Problem) -> Callable[[], int]:
    """NumPyro's kernel in a compiled loop of our own: `MCMC.run` would compile at each call."""
    data = {k: jnp.asarray(v) for k, v in problem.data.items()}
    kernel = NUTS(
        problem.numpyro_model,
        step_size=STEP_SIZE[problem.name],
        adapt_step_size=False,
        adapt_mass_matrix=False,
    )
    begun = kernel.init(jax.random.key(1), 0, mode(problem), (), data)

    def step(_: Any, carry: Any) -> Any:
        state, gradients, record, i = carry
        state = kernel.sample(state, (), data)
        record = jax.tree.map(lambda r, z: r.at[i].set(z), record, state.z)
        return state, gradients + state.num_steps, record, i + 1

    def program(state: Any) -> Any:
        n = DRAWS[problem.name]
        record = jax.tree.map(lambda z: jnp.zeros((n, *jnp.shape(z))), state.z)
        zero = jnp.zeros((), jnp.int64)
        return jax.lax.fori_loop(0, n, step, (state, zero, record, 0))

    compiled = jax.jit(program).lower(begun).compile()
    return lambda: int(jax.block_until_ready(compiled(begun))[1])
