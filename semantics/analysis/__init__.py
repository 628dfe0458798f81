"""Syntactic analyses of the IR: linear in the size of the program."""

from ppl.semantics.analysis.calls import components, recursive_functions
from ppl.semantics.analysis.dependence import Dependence, dependencies, flatten
from ppl.semantics.analysis.known import Known, what_is_known
from ppl.semantics.analysis.shapes import static_params
from ppl.semantics.analysis.tails import TailRecursion, tail_recursion

__all__ = [
    "Dependence",
    "Known",
    "TailRecursion",
    "components",
    "dependencies",
    "flatten",
    "recursive_functions",
    "static_params",
    "tail_recursion",
    "what_is_known",
]
