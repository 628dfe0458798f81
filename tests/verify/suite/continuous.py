"""What moves continuous numbers on XLA, on densities of generated programs whose probabilities
depend on three continuous choices; the finite choices are summed out."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from numpyro.infer import hmc as numpyro_hmc

from ppl import kernels
from ppl.inference.kernels.algebra import Kernel as Description
from ppl.inference.kernels.xla import trajectories
from ppl.inference.kernels.xla.compose import compose
from ppl.inference.kernels.xla.move import Move, Target
from ppl.semantics.precision import precision
from ppl.semantics.xla.mixed import mixed_density
from ppl.verify import Involution, Metropolis, OnOrbit
from ppl.verify.choices import NUMBERS
from ppl.verify.contracts import Contract, Invariant, Measure, Reversible
from ppl.verify.maps import POINTS, compared
from ppl.verify.orbits import numpyro_rows
from ppl.verify.programs import Program
from ppl.verify.runnable import Runnable
from ppl.verify.sequential import seed_of
from ppl.verify.subjects import Numeric
from ppl.verify.verdict import Verdict

#: continuous choices, of which one depends on the others
LATENT = ("u ~ normal(0.3, 1.2)", "v ~ gamma(2, 3)", "w ~ normal(u, 0.5 + v)")
SIZE = len(LATENT)
#: what is added to the logits of probabilities, in turn
TILTS = ("u", "-0.5 * w", "0.3 * u * v", "log(v)", "sin(w)")
STEP_SIZE = 0.4


def tilted(program: Program) -> Program:
    """The program with its probabilities tilted by what it draws first."""
    lines: list[str] = [*LATENT]
    shares: list[str] = []
    at = 0
    for g, parts in enumerate(program.parts):
        tilts = [TILTS[(g + i) % len(TILTS)] for i in range(len(parts))]
        if len(parts) == 2:
            shares.append(f"sigmoid(logit(q[{at}]) + {tilts[0]})")
            at += 1
            continue
        logits = [f"log(q[{at + i}]) + {t}" for i, t in enumerate(tilts)]
        lines.append(f"let g{g} = softmax([{', '.join(logits)}])")
        shares += [f"g{g}[{i}]" for i in range(len(parts))]
        at += len(parts)
    lines.append(f"let {NUMBERS} = [{', '.join(shares)}]")
    head = re.compile(rf"^model main\((.*){NUMBERS}: \[prob\]\) \{{\n", re.MULTILINE)
    block = "".join(f"  {line}\n" for line in lines)
    source, n = head.subn(lambda m: f"model main({m[1]}q: [prob]) {{\n{block}", program.source)
    assert n == 1, program.source
    data = {"q" if k == NUMBERS else k: v for k, v in program.data.items()}
    return replace(program, source=source, data=data)


@dataclass(frozen=True, eq=False)
class OnTilted(Numeric):
    """verdict_on(data, contract, source), for all data of a text."""

    verdict_on: Callable[[Any, Contract, str], Verdict]
    takes = (Reversible, Invariant, Measure)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        model = Runnable.of(tilted(program))
        with precision("double"):
            return self.verdict_on(model.target.data, contract, model.source)


def density_of(program: Program) -> Any:
    target = Runnable.of(tilted(program)).target
    with precision("double"):
        density = mixed_density(target.bound, target.data, ())
    assert density.size == SIZE and not density.discrete
    return density


def at_points(make: Callable[[Target], Metropolis | Involution]) -> Callable[[Program], OnTilted]:
    """A numeric subject made of a target, compiled once for a text."""

    def subject(program: Program) -> OnTilted:
        density = density_of(program)

        def at(data: Any, x: Any) -> Any:
            target = Target(density, data)
            return make(target).at(lambda z: target.log_density(z, NOTHING), x)

        run = jax.jit(jax.vmap(at, (None, 0)))

        def verdict_on(data: Any, contract: Contract, source: str) -> Verdict:
            one = make(Target(density, data))
            x = one.points(SIZE)
            return one.judged(run(data, x), x, contract, source)

        return OnTilted(verdict_on)

    return subject


NOTHING = jnp.zeros(0, int)


@dataclass
class Given:
    """A source whose normal draws are given, that accepts, and notes with what probability."""

    noise: Any
    accepted: Any = None

    def draw(self, path: Any, law: Any, shape: Any, *, where: Any = None) -> tuple[Any, Any]:
        if path[-1] == "step":
            return self, self.noise
        assert path[-1] == "accept"
        self.accepted = jnp.exp(law.log_prob(True))
        return self, jnp.asarray(True)

    def foreign_key(self, path: Any) -> Any:
        return jax.random.key(0)


def step(move: Move, target: Target, z: Any, noise: Any) -> tuple[Any, Given]:
    """Where a move goes, by the code that runs, and what it asked for."""
    source, point = Given(noise), target.point(z, NOTHING)
    done = move.step(target, point, move.begin(target, point), source, False)
    return done, source


def metropolis(description: Description) -> Callable[[Program], OnTilted]:
    """A kernel whose proposals are affine functions of normal noise."""

    def make(target: Target) -> Metropolis:
        move = compose(description, target.density, 0)

        def propose(x: Any, noise: Any) -> Any:
            return step(move, target, x, noise)[0].point.z

        def accept(x: Any, y: Any) -> Any:
            zero = jnp.zeros(SIZE)
            slope = jax.jacfwd(propose, 1)(x, zero)
            noise = jnp.linalg.solve(slope, y - propose(x, zero))
            return step(move, target, x, noise)[1].accepted

        return Metropolis(jax.jit(propose), jax.jit(accept), rounds=1)

    return at_points(make)


def _given_momenta() -> Any:
    """A copy of NumPyro's module for ourselves, whose proposals are accepted."""
    spec = importlib.util.spec_from_file_location("numpyro_hmc_accepted", numpyro_hmc.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    accepting = SimpleNamespace(**vars(jax.random))
    accepting.bernoulli = lambda key, p: jnp.asarray(True)
    module.random = accepting  # type: ignore[attr-defined]
    return module


def hamiltonian(flip: float = -1.0) -> Callable[[Program], OnTilted]:
    """A trajectory of HMC, as our kernel asks NumPyro for it: momenta are given, and turned round at
    the end."""
    module = _given_momenta()

    def make(target: Target) -> Involution:
        def run(x: Any) -> tuple[Any, Any]:
            z, p = x[:SIZE], x[SIZE:]
            ends = []

            def hmc(*args: Any, **kwargs: Any) -> Any:
                init, advance = module.hmc(*args, **kwargs)

                def given(state: Any) -> Any:
                    adapt = state.adapt_state._replace(step_size=STEP_SIZE)
                    ends.append(advance(state._replace(r=p, adapt_state=adapt)))
                    return ends[-1]

                return init, given

            with mock.patch.object(trajectories, "hmc", hmc):
                move = compose(kernels.hmc(trajectory_length=1.2), target.density, 0)
                done, _ = step(move, target, z, None)
            (end,) = ends
            return jnp.concatenate([done.point.z, flip * end.r]), end.accept_prob

        once = jax.jit(run)  # each is asked for many times, and traced once
        return Involution(lambda x: once(x)[0], lambda x, _: once(x)[1], extra=SIZE)

    return at_points(make)


def no_u_turns(program: Program) -> OnTilted:
    """NumPyro's trees, along orbits of leapfrog steps in the density that our kernel hands it."""
    density = density_of(program)

    def log_density(data: Any, z: Any) -> Any:
        return Target(density, data).log_density(z, NOTHING)

    def verdict_on(data: Any, contract: Contract, source: str) -> Verdict:
        orbits = OnOrbit(numpyro_rows, depth=2)
        return orbits.verdict((Partial(log_density, data), SIZE), contract)

    return OnTilted(verdict_on)


def standardised(program: Program) -> OnTilted:
    """A density two of whose choices are in standardised coordinates, `w` with a location and a
    scale that are drawn: the plain one at the same values, times the Jacobian."""
    target = Runnable.of(tilted(program)).target
    with precision("double"):
        plain = target.bound.density(target.data)
        other = target.bound.density(target.data, frozenset("uw"))

    def at(data: Any, x: Any) -> Any:
        def centred(x: Any) -> Any:
            position = other.unflatten(x)
            made = other.constrain(data, position, jax.random.key(0))
            return plain.flatten({**position, **{name: made[name].data for name in "uw"}})

        volume = jnp.linalg.slogdet(jax.jacfwd(centred)(x))[1]
        there = plain.log_density(data, plain.unflatten(centred(x))) + volume
        return there, other.log_density(data, other.unflatten(x))

    run = jax.jit(jax.vmap(at, (None, 0)))

    def verdict_on(data: Any, contract: Contract, source: str) -> Verdict:
        x = np.random.default_rng(seed_of(source, "points")).normal(size=(POINTS, SIZE))
        there, found = run(data, x)
        return compared([("log density", there, found)], x, contract, source)

    return OnTilted(verdict_on)
