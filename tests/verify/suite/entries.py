"""What a line of the table is, and kinds of programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ppl.verify.checking import Level
from ppl.verify.contracts import Contract
from ppl.verify.programs import FEATURES, MACHINE_FEATURES
from ppl.verify.search import Searched, search
from ppl.verify.sizes import Largest

Programs = Mapping[str, Any]

#: all that the machine runs; of one run each, so that they may be wide
ANY: Programs = {"features": FEATURES | MACHINE_FEATURES, "paths": 60}
#: all that both engines run
PLAIN: Programs = {"features": FEATURES, "paths": 24, "size": 1}
#: choices and scores in turn
STAGES: Programs = {"features": FEATURES | MACHINE_FEATURES, "paths": 6, "size": 1, "stages": 2}
PLAIN_STAGES: Programs = {"features": FEATURES, "paths": 6, "size": 1, "stages": 2}
#: the same in few lines, for what takes long to compile
SHORT_STAGES: Programs = {**PLAIN_STAGES, "size": 0}
#: a few traces, of unequal lengths: kernels run from each
TRACES: Programs = {"features": FEATURES | MACHINE_FEATURES, "paths": 12, "size": 1, "stages": 1}


def smallest(subject: Any) -> Any:
    """At no more than two particles, if it has several sizes. One program of a text, at the largest
    size that can be run, finds what depends on the text; the others what depends on its numbers."""
    if not isinstance(subject, Largest):
        return subject
    return replace(subject, sizes=tuple(n for n in subject.sizes if n <= 2))


@dataclass(frozen=True)
class Entry:
    """make(program, **sizes) -> subject. sizes: settings that are drawn with each program. limit:
    paths of one check. variants: programs of one text, for which a subject is made once."""

    name: str
    make: Callable[..., Any]
    contract: Contract
    programs: Programs
    sizes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    limit: int = 1_500
    variants: int = 4
    level: Level = "exact"

    def run(self, examples: int, *, epoch: int = 0, **more: Any) -> Searched:
        """The check on that many programs."""
        return search(
            self.name, self.make, self.contract, examples=examples, limit=self.limit,
            sizes=self.sizes, epoch=epoch, level=self.level, others=smallest, **{"variants": self.variants, **self.programs, **more},
        )  # fmt: skip
