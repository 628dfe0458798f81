"""The rows of distributions of the table of primitives, one draw at a time, in plain Python."""

from ppl.semantics.machine.distributions.table import FAMILIES, family_of

__all__ = ["FAMILIES", "family_of"]
