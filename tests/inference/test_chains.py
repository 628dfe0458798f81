"""How chains are run does not change what they draw, and new data or seeds compile nothing."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

from ppl.inference import sampling
from ppl.inference.hmc import Hmc, run_hmc
from ppl.inference.nuts import Nuts, run_nuts
from ppl.inference.sampling import Interrupted, choose_mode
from ppl.inference.schedule import Schedule
from ppl.semantics.diagnostics import DiagnosticError
from tests.oracles.gaussians import MEAN, NORMAL, gaussian, vectors

SETTINGS = Nuts(warmup=150, draws=300, chains=3)


def run(settings: Nuts = SETTINGS, seed: int = 7, **options):
    return run_nuts(NORMAL.density, NORMAL.data, settings, seed=seed, **options)


def same(a, b) -> bool:
    """Equal in every bit, statistics too."""
    left = {**a.position, **a.stats}
    right = {**b.position, **b.stats}
    return left.keys() == right.keys() and all(np.array_equal(left[k], right[k]) for k in left)


def test_the_same_seed_gives_the_same_draws_bit_for_bit():
    assert same(run(), run())
    assert not same(run(), run(seed=8))


def test_progress_does_not_change_the_draws_and_adds_up():
    calls = []
    lock = threading.Lock()

    def progress(done, total, info):
        assert lock.acquire(blocking=False), "calls do not overlap"
        calls.append((done, total, info["phase"]))
        lock.release()

    assert same(run(progress=progress), run())
    done = [c[0] for c in calls]
    assert done == sorted(done)
    assert calls[-1][:2] == (3 * 450, 3 * 450)
    assert {c[2] for c in calls} == {"warmup", "sampling"}


def test_a_chain_does_not_depend_on_how_many_run_beside_it():
    more = run(dataclasses.replace(SETTINGS, chains=5))
    assert np.array_equal(vectors(run().position), vectors(more.position)[:3])


def test_one_thread_draws_what_many_do(monkeypatch):
    many = run()
    monkeypatch.setattr(sampling, "_cores", lambda: 1)
    assert same(run(dataclasses.replace(SETTINGS, mode="loop")), many)


def test_thinning_keeps_every_third_draw():
    thinned = run(dataclasses.replace(SETTINGS, draws=100, thin=3))
    assert np.array_equal(vectors(thinned.position), vectors(run().position)[:, 2::3])


def test_more_draws_begin_with_the_same_draws():
    longer = run(dataclasses.replace(SETTINGS, draws=420))
    assert np.array_equal(vectors(longer.position)[:, :300], vectors(run().position))


SHORT = Nuts(warmup=0, draws=12, chains=4, step_size=0.3)


def test_chains_stepped_together_draw_what_they_draw_alone():
    """The random numbers are the same; only rounding differs, and grows with the steps."""
    alone = run(dataclasses.replace(SHORT, mode="loop"))
    together = run(dataclasses.replace(SHORT, mode="vectorised"))
    assert (alone.mode, together.mode) == ("loop", "vectorised")
    np.testing.assert_allclose(
        vectors(alone.position), vectors(together.position), rtol=0, atol=1e-9
    )
    assert np.array_equal(alone.stats["n_steps"], together.stats["n_steps"])


def test_new_data_seeds_and_lengths_of_the_same_shapes_compile_nothing():
    model = gaussian("compiled once")
    compiled = []

    def listener(name, *_, **__):
        if "backend_compile" in name:
            compiled.append(name)

    settings = Nuts(warmup=50, draws=40, chains=2)
    moved = {**model.data, "mean": MEAN + 100}
    longer = dataclasses.replace(settings, draws=333, chains=4, thin=2)
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        first = run_nuts(model.density, model.data, settings, seed=1)
        assert compiled, "the counter works"
        compiled.clear()
        before = model.traces[0]
        second = run_nuts(model.density, moved, longer, seed=2, progress=lambda *_: None)
        assert not compiled
        assert model.traces[0] == before
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)
    assert abs(vectors(second.position).mean() - vectors(first.position).mean() - 100) < 5


def test_positions_given_to_start_from_are_started_from():
    """By steps too short to go anywhere, and so by trees as deep as they may be."""
    start = {"a": np.array([1.0, 2.0, 3.0]), "b": np.arange(6.0).reshape(3, 2)}
    tiny = Nuts(warmup=0, draws=1, chains=3, step_size=1e-9, max_tree_depth=3)
    moved = run(tiny, start=start)
    np.testing.assert_allclose(moved.position["a"][:, 0], start["a"], atol=1e-7)
    np.testing.assert_allclose(moved.position["b"][:, 0], start["b"], atol=1e-7)
    assert moved.stats["reached_max_treedepth"].all()
    assert np.all(moved.stats["n_steps"] == 7)


def test_single_precision_when_asked_and_flags_as_they_were():
    before = jax.config.jax_enable_x64
    draws = run(dataclasses.replace(SETTINGS, precision="single"))
    assert vectors(draws.position).dtype == np.float32
    assert vectors(run().position).dtype == np.float64
    assert jax.config.jax_enable_x64 == before


def test_an_exception_in_progress_stops_the_run():
    def progress(done, total, info):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(dataclasses.replace(SETTINGS, draws=10**9, mode="loop"), progress=progress)


def test_the_rule_for_auto():
    """Few chains a core, or much arithmetic: threads. Many short steps a core: together."""
    size, data = NORMAL.density.size, NORMAL.data
    crowd = Schedule(chains=100 * sampling._cores())
    assert choose_mode(size, data, Schedule(chains=1)) == "loop"
    assert choose_mode(size, data, crowd) == "vectorised"
    assert choose_mode(size, {**data, "x": np.zeros((1000, 25))}, crowd) == "loop"
    assert choose_mode(size, data, crowd, "loop") == "loop"


def test_a_density_without_coordinates_is_refused():
    empty = dataclasses.replace(NORMAL.density, key="empty", sites=())
    with pytest.raises(DiagnosticError, match="E814"):
        run_nuts(empty, NORMAL.data, SETTINGS, seed=1)


DEVICES = """
import sys
import numpy as np
from ppl.inference import sampling
from ppl.inference.hmc import Hmc, run_hmc
from ppl.semantics.diagnostics import DiagnosticError
from tests.oracles.gaussians import NORMAL, vectors

def run(mode, chains=4):
    settings = Hmc(warmup=0, draws=12, chains=chains, step_size=0.3, mode=mode)
    return run_hmc(NORMAL.density, NORMAL.data, settings, seed=7)

shared = run("auto")
assert shared.mode == "devices", shared.mode
np.testing.assert_allclose(vectors(shared.position), np.load(sys.argv[1]), rtol=0, atol=1e-9)
try:
    run("devices", chains=3)
except DiagnosticError as error:
    assert error.diagnostics[0].code == "E811"
else:
    raise AssertionError("three chains on two devices")
"""


def test_chains_are_shared_evenly_by_devices(root, tmp_path):
    """With HMC, which compiles faster than NUTS; the kernel does not know of devices."""
    settings = Hmc(warmup=0, draws=12, chains=4, step_size=0.3, mode="loop")
    alone = run_hmc(NORMAL.density, NORMAL.data, settings, seed=7)
    np.save(tmp_path / "alone.npy", vectors(alone.position))
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    subprocess.run(
        [sys.executable, "-c", DEVICES, str(tmp_path / "alone.npy")],
        cwd=root,
        env=os.environ | {"XLA_FLAGS": flags},
        check=True,
    )


# ------------------------------------------------------------------------------------- interrupts


@pytest.mark.parametrize(
    "settings",
    [
        dataclasses.replace(SETTINGS, mode="loop"),
        dataclasses.replace(SHORT, draws=300, mode="vectorised"),  # a program already compiled
    ],
    ids=["loop", "vectorised"],
)
def test_an_interrupt_keeps_the_draws_made_so_far(settings):
    enough = settings.chains * settings.warmup + 200

    def stop(done, total, info):
        if done >= enough and info["phase"] == "sampling":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as raised:
        run(settings, progress=stop)
    assert raised.value.draws is not None
    kept, whole = raised.value.draws, run(settings)
    got, full = vectors(kept.position), vectors(whole.position)
    n = got.shape[1]
    # a chain may have finished before another had begun: fewer draws, perhaps not shorter chains
    assert 0 < len(got) * n < len(full) * settings.draws
    assert all(x.shape[1] == n for x in kept.stats.values())
    # every chain that is left is the beginning of one of the whole run's
    starts = [any(np.array_equal(chain, other[:n]) for other in full) for chain in got]
    assert all(starts) and (settings.mode == "loop" or len(got) == settings.chains)
    assert same(run(settings), whole), "nothing of the stop is left behind"


def test_an_interrupt_in_warmup_has_no_draws():
    def stop(done, total, info):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as raised:
        run(progress=stop)
    assert raised.value.draws is None


def test_chains_of_unequal_lengths_keep_the_most_draws():
    def kept(*lengths: int) -> list[tuple[int, int]]:
        chains = [{"z": np.full((n, 2), float(c))} for c, n in enumerate(lengths)]
        z = sampling._rectangle(chains)["z"]
        assert len({*z[:, 0, 0]}) == len(z)
        return [(int(chain[0, 0]), len(chain)) for chain in z]

    assert kept(50, 40, 45) == [(0, 40), (1, 40), (2, 40)]
    assert kept(3, 100, 90) == [(1, 90), (2, 90)]
    assert kept(100, 10, 20) == [(0, 100)]
    assert kept(7) == [(0, 7)]
