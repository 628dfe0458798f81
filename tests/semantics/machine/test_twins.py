"""Direct code, block code and suspended runs agree bit for bit, on generated programs and keys."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import ppl
from ppl.semantics.machine import Execution, Machine, MachineKey, Suspended
from ppl.semantics.machine.code import DONE
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.state import Dead, State
from ppl.verify.programs import FEATURES, MACHINE_FEATURES, programs

NAMED = Options(named=True)


def seen(e: Execution) -> Any:
    """Everything about an execution that should not depend on how it was run."""
    if not e.alive:
        return None
    return (
        repr(e.value) if "<function" not in repr(e.value) else None,
        e.log_weight,
        e.sites,
        e.observed,
        sorted(e.kept),
    )


def in_blocks(machine: Machine, data: Any, omega: MachineKey) -> Execution:
    """A run of the all-block twin from the start."""
    code = machine.code(NAMED)
    s = State(omega, code)
    try:
        value = code.drive(s, (code._block, DONE, code.root, *machine.bind(data).values), None)
    except Dead:
        return Execution(s, None, machine.type, alive=False)
    return Execution(s, value, machine.type)


def resumed(machine: Machine, data: Any, omega: MachineKey) -> tuple[Execution, int]:
    """A run stopped at every suspension point, resumed twice at each; and how many there were."""
    at: Suspended | Execution = machine.start(data)
    points = -1
    while isinstance(at, Suspended):
        before = at.log_weight
        other = at.resume(omega)
        at = at.resume(omega)
        assert type(other) is type(at)
        assert other.log_weight == at.log_weight
        assert before == before
        points += 1
    return at, points


@given(programs(features=FEATURES | MACHINE_FEATURES, paths=300), st.integers(0, 2**64 - 1))
@settings(max_examples=80, deadline=None)
def test_twins_agree(program, seed):
    target = ppl.compile(program.source)[program.model](**program.data)
    machine, omega = Machine(target.model.program), MachineKey(seed)
    direct = machine.run(target.values, omega)
    assert seen(in_blocks(machine, target.values, omega)) == seen(direct)
    stopped, _ = resumed(machine, target.values, omega)
    assert seen(stopped) == seen(direct)
    unnamed = machine.run(target.values, omega, record=False)
    assert unnamed.log_weight == direct.log_weight
    written_out = machine.runner(target.values, record=False, keyed=True)(omega)
    assert written_out.log_weight == direct.log_weight
    assert repr(written_out.value) == repr(unnamed.value) or "<function" in repr(unnamed.value)
    keyed = machine.start(target.values, record=False, keyed=True).finish(omega)
    assert keyed.log_weight == direct.log_weight
    fuelled = machine.run(target.values, omega, fuel=1_000_000)
    assert seen(fuelled) == seen(direct)
