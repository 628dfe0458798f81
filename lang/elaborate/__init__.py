"""From typed syntax to the intermediate representation."""

from ppl.lang.elaborate.program import elaborate

__all__ = ["elaborate"]
