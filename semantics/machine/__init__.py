"""The machine: the second evaluator of the IR, for programs that XLA cannot run.

`Machine(program)` compiles a program to Python code; see `machine.machine`. No module here imports
JAX. Names are looked up when first used, since runs on XLA need a few of these modules, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppl.semantics.machine.limits import Limits as Limits
    from ppl.semantics.machine.machine import Machine as Machine
    from ppl.semantics.machine.omega import MachineKey as MachineKey
    from ppl.semantics.machine.replay import Replay as Replay
    from ppl.semantics.machine.result import Execution as Execution
    from ppl.semantics.machine.suspend import Suspended as Suspended
    from ppl.semantics.machine.tape import MachineTape as MachineTape
    from ppl.semantics.machine.tape import enumerate_paths as enumerate_paths

_HOME = {
    "Execution": "result",
    "Limits": "limits",
    "Machine": "machine",
    "MachineKey": "omega",
    "MachineTape": "tape",
    "Replay": "replay",
    "Suspended": "suspend",
    "enumerate_paths": "tape",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
