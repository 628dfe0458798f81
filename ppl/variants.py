"""Programs that a model runs as, and what has been compiled of each.

Data of equal sizes share all of it. Kept by the model, so that it lives as long as that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ppl.holes import Holes, program_for, sizes_of
from ppl.semantics.ir_print import show

if TYPE_CHECKING:
    from ppl.interventions import Named
    from ppl.semantics import ir
    from ppl.semantics.machine import Machine
    from ppl.semantics.passes.rao_blackwellize import Collapsed
    from ppl.semantics.xla.fixed import Fixed
    from ppl.semantics.xla.program import Bound


class Variants:
    """What a model has been compiled to."""

    def __init__(self):
        self._bounds: dict[Any, Bound] = {}
        self._outlines: dict[Any, Mapping[str, Named]] = {}
        self._with_holes: dict[Any, ir.Program] = {}
        #: so that what sizes make no difference to is compiled once
        self._by_text: dict[str, ir.Program] = {}
        self._machines: dict[int, Machine] = {}
        self._collapsed: dict[Any, tuple[ir.Program, Collapsed]] = {}

    def machine(self, program: ir.Program) -> Machine:
        """The program on the machine."""
        from ppl.semantics.machine import Machine

        if id(program) not in self._machines:  # a machine keeps its program
            self._machines[id(program)] = Machine(program)
        return self._machines[id(program)]

    def bound(
        self,
        program: ir.Program,
        static: tuple[tuple[str, Any], ...],
        fixed: tuple[Fixed, ...] = (),
        late: frozenset[str] = frozenset(),
    ) -> Bound:
        """The program on XLA with the values that are part of its code."""
        from ppl.semantics.xla.data import fingerprint
        from ppl.semantics.xla.program import Bound

        key = id(program), tuple((name, fingerprint(v)) for name, v in static), fixed
        if key not in self._bounds:  # what is bound keeps its program
            self._bounds[key] = Bound(program, static, fixed, late)
        return self._bounds[key]

    def filling(
        self,
        program: ir.Program,
        holes: tuple[Holes, ...],
        values: Mapping[str, Any],
        *,
        sampling: bool,
    ) -> ir.Program:
        """The program that draws holes in data of these sizes, or would draw them, `sampling`."""
        if not holes and not sampling:
            return program
        sizes = sizes_of(program, holes, values)
        key = sampling, sizes
        if key not in self._with_holes:
            made = program_for(program, holes, sizes, sampling=sampling)
            self._with_holes[key] = self._by_text.setdefault(show(made), made)
        return self._with_holes[key]

    def collapsed(
        self,
        program: ir.Program,
        sites: tuple[str, ...],
        fixed: frozenset[str],
        late: frozenset[str],
        *,
        finite: bool,
    ) -> Collapsed:
        """The program with sites integrated or summed out, all that can be if none are named."""
        from ppl.semantics.passes.rao_blackwellize import rao_blackwellized

        key = id(program), sites, fixed, late, finite
        if key not in self._collapsed:  # together with the program, so that its id stays its own
            found = rao_blackwellized(program, sites or None, fixed=fixed, late=late, finite=finite)
            self._collapsed[key] = program, found
        return self._collapsed[key][1]

    def outline(self, bound: Bound, data: Mapping[str, Any]) -> Mapping[str, Named]:
        """The names of the program with data of these sizes."""
        import jax

        from ppl.semantics.xla.outline import outline

        flat, tree = jax.tree.flatten(dict(data))
        key = bound, tree, tuple(x.shape for x in flat)
        if key not in self._outlines:
            self._outlines[key] = outline(bound, data)
        return self._outlines[key]
