"""The machine: the second evaluator of the IR, for programs that XLA cannot run.

`Machine(program)` compiles a program to Python code; see `machine.machine`. No module here imports
JAX.
"""

from ppl.semantics.machine.limits import Limits
from ppl.semantics.machine.machine import Machine
from ppl.semantics.machine.omega import MachineKey
from ppl.semantics.machine.replay import Replay
from ppl.semantics.machine.result import Execution
from ppl.semantics.machine.suspend import Suspended
from ppl.semantics.machine.tape import MachineTape, enumerate_paths

__all__ = [
    "Execution",
    "Limits",
    "Machine",
    "MachineKey",
    "MachineTape",
    "Replay",
    "Suspended",
    "enumerate_paths",
]
