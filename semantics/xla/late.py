"""Draws that nothing is scored by: no coordinates of a density, made once everything else is known.

`passes.rao_blackwellize` leaves such draws of the sites that it integrates out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ppl.semantics import keys
from ppl.semantics.omega import Key
from ppl.semantics.xla.sites import draw, holds
from ppl.semantics.xla.state import Scope, Site, SiteRule, State

Result = tuple[Any, State]


@dataclass(frozen=True)
class Late:
    """The sites in `names` drawn where a run has a source of randomness, else left out: their value
    is then any (a fixed draw, which no score depends on). Others are treated by `rest`."""

    names: frozenset[str]
    rest: SiteRule

    def holds(self, site: Site, made: Any) -> bool:
        return holds(self.rest, site, made)

    def __call__(self, site: Site, scope: Scope, state: State) -> Result:
        if site.name not in self.names:
            return self.rest(site, scope, state)
        if state.omega is not None:
            return draw(site, scope, state)
        quiet = replace(scope, record=frozenset())
        x, _ = draw(site, quiet, replace(state, omega=Key(keys.key(0))))
        return x, state
