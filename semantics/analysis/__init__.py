"""Syntactic analyses of the IR: linear in the size of the program."""

from ppl.semantics.analysis.calls import components, recursive_functions
from ppl.semantics.analysis.dependence import Dependence, dependencies, flatten
from ppl.semantics.analysis.shapes import static_params

__all__ = [
    "Dependence",
    "components",
    "dependencies",
    "flatten",
    "recursive_functions",
    "static_params",
]
