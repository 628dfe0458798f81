"""A program compiled once, and the ways into it.

Direct code first: where it is too deep for Python's stack, the weight is restored and the same
frame is run again as blocks, whose depth is bounded by memory. That is exact, because a draw
depends on its path only, and it never touches Python's recursion limit.
"""

from __future__ import annotations

from copy import copy
from itertools import islice
from types import CodeType
from typing import TYPE_CHECKING, Any

from ppl.semantics import ir
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.machine import table as builtins
from ppl.semantics.machine.arrays import ShapeError, TooFew
from ppl.semantics.machine.codegen.module import Generated, generate
from ppl.semantics.machine.codegen.unit import Options
from ppl.semantics.machine.gaussian import Indefinite
from ppl.semantics.machine.limits import Exhausted
from ppl.semantics.machine.memoise import whole
from ppl.semantics.machine.nested import Nested
from ppl.semantics.machine.paths import NAMED_ROOT, ROOT
from ppl.semantics.machine.scalars import ByZero
from ppl.semantics.machine.state import State, burn, mark, restore
from ppl.semantics.machine.values import BLOCK, DIRECT
from ppl.semantics.statistics import BY_ZERO, tested

if TYPE_CHECKING:
    from ppl.semantics.machine.settings import Settings

DONE = (builtins.finished, None)
FILE = "<machine>"
#: what `Code.explained` explains
FAILURES = (Exhausted, ShapeError, ByZero, Indefinite, RecursionError, MemoryError)


class Code:
    """The compiled module. `named`: its runs record names. Stateless but for caches."""

    def __init__(self, program: ir.Program, options: Options):
        self.program, self.options = program, options
        self.named, self.keyed = options.named, options.keyed
        self.generated: Generated = generate(program, options)
        namespace: dict[str, Any] = {"__builtins__": {}}
        namespace |= builtins.table(is_rational=options.rational, settable=options.settable)
        namespace |= self.generated.bound
        module: CodeType = compile(self.generated.source, FILE, "exec")
        exec(module, namespace)
        #: everything that the code means, by name
        self.namespace = namespace
        entry = self.generated.entry
        self._direct = namespace[f"f{entry}"]
        self._block = namespace[f"a{entry}"]
        self._suspendable = namespace.get(f"b{entry}")
        self.twins = {namespace[b]: namespace[a] for b, a in self.generated.twins.items()}
        self.constructors = self.generated.constructors
        self.root: Any = NAMED_ROOT if options.named else ROOT
        self.nested = Nested(self)
        #: whether a run that is suspended leaves nothing in its state but what `Suspended` takes
        self.reusable = options.keyed and not self.generated.lazy
        #: names that are set from outside, in code that looks for them
        self.settings: Settings | None = None

    def under(self, settings: Settings) -> Code:
        """The same code, in which these names are set."""
        out = copy(self)
        out.settings, out.nested = settings, Nested(out)
        return out

    # ------------------------------------------------------------------------------- ways in

    def run(self, s: State, data: tuple[Any, ...]) -> Any:
        """The main function's result."""
        if not self.keyed:
            mark(s)  # a keyed run is marked when it is made
        try:
            return self.whole(s, self._direct(s, self.root, *data))
        except RecursionError:
            restore(s)
        return self.whole(s, self.drive(s, (self._block, DONE, self.root, *data), None))

    def whole(self, s: State, value: Any) -> Any:
        """A result with its lazy parts: a run is over when all of it is there."""
        return whole(s, value) if self.generated.lazy else value

    def begin(self, data: tuple[Any, ...]) -> Any:
        """The frame at which a run that may be suspended begins."""
        return (self._suspendable, DONE, self.root, *data)

    def apply(self, s: State, f: Any, args: tuple[Any, ...]) -> Any:
        """The value of a function of the language."""
        before = s.marked
        mark(s)
        try:
            return f[DIRECT](s, f, *args)
        except RecursionError:
            restore(s)
        finally:
            s.marked = before
        return self.drive(s, (f[BLOCK], DONE, f, *args), None)

    def run_measure(self, s: State, m: Any, path: Any) -> Any:
        """A draw from a measure of the language."""
        before = s.marked
        mark(s)
        try:
            return m[DIRECT](s, m, path)
        except RecursionError as error:
            s.depth.failed(self, error)
            restore(s)
        finally:
            s.marked = before
        value = self.drive(s, (m[BLOCK], DONE, m, path), None)
        s.depth.failures = 0
        return value

    # ----------------------------------------------------------------------------- trampoline

    def drive(self, s: State, k: Any, v: Any) -> Any:
        """Run frames to the end, past suspension points: the value."""
        while k is not None:
            k, v = self.advance(s, k, v)
        return v

    def advance(self, s: State, k: Any, v: Any) -> Any:
        """Run frames to the next suspension point: the frame that goes on, and the value for it.
        At the end, None and the value."""
        while True:
            try:
                if s.fuel is None:
                    while k:
                        k, v = k[0](s, k, v)
                else:
                    while k:
                        burn(s, k[0])
                        k, v = k[0](s, k, v)
                return v if k is not None else (None, v)
            except RecursionError:
                assert k is not None  # the frame whose block was too deep
                twin = self.twins.get(k[0])
                if twin is None:
                    raise
                restore(s)
                k = (twin, *k[1:])

    # --------------------------------------------------------------------------------- errors

    def place(self, where: Any) -> tuple[str, Span | None]:
        """What a block, a loop (its span) or a function (its name and span) is in the source."""
        if isinstance(where, Span):
            return f"`{where.text.splitlines()[0].strip()[:60]}`", where
        if isinstance(where, tuple):
            what, span = where
        else:
            name = getattr(where, "__name__", "")
            what, span = self.generated.places.get(name, ("the program", None))
        return (f"`{what}`" if " " not in what else what), span

    def explained(self, error: Exception) -> Exception:
        """What went wrong in a run, as a diagnostic at the innermost code of the program.

        `error` is one of FAILURES.
        """
        match error:
            case Exhausted(what="fuel", limits=limits):
                what, span = self.place(error.place)
                return fail(
                    "E843",
                    f"the run did not end within its fuel, {limits.fuel:,} steps; it stopped in "
                    f"{what}",
                    span=span,
                    hint="does the loop or recursion end with probability one? If so, give more "
                    "fuel",
                )
            case Exhausted(what="seconds", limits=limits):
                what, span = self.place(error.place)
                return fail(
                    "E847",
                    f"the runs took longer than {limits.seconds:g} s; the last stopped in {what}",
                    span=span,
                    hint="allow more seconds, or ask for fewer executions",
                )
            case Exhausted(limits=limits):
                what, span = self.place(error.place)
                return fail(
                    "E848",
                    f"the runs hold more than {limits.memory:g} MB; the last stopped in {what}",
                    span=span,
                    hint="allow more memory, or ask for fewer executions",
                )
            case ByZero():
                span = self._innermost(error)
                return fail("E727", "a whole number is divided by zero", span=span, hint=BY_ZERO)
            case Indefinite():
                hint = "kernels are made of kernels by sums, products and positive factors"
                return fail("E873", str(error), span=self._innermost(error), hint=hint)
            case TooFew(op=op):
                return fail("E719", str(error), span=self._innermost(error), hint=tested(op))
            case ShapeError():
                return fail("E704", str(error), span=self._innermost(error))
            case MemoryError():
                span = self._innermost(error)
                return fail("E848", "the run used up the memory that there is", span=span)
            case _:
                return fail(
                    "E849",
                    "inference nests too deeply here: each level needs room on Python's stack",
                    span=self._innermost(error),
                    hint="does the recursion through `normalize` end?",
                )

    def _innermost(self, error: Exception) -> Span | None:
        """The innermost code of the program that an error came through."""
        span, trace = None, error.__traceback__
        while trace is not None:
            at = trace.tb_frame.f_code
            if at.co_filename == FILE and at.co_name in self.generated.places:
                call = self.generated.calls.get(self._text(at, trace.tb_lasti))
                span = call or self.generated.places[at.co_name][1] or span
            trace = trace.tb_next
        return span

    def _text(self, code: CodeType, instruction: int) -> str:
        """The expression of generated source, within one line, that an instruction is of."""
        first, last, start, end = next(islice(code.co_positions(), instruction // 2, None))
        if first is None or first != last:  # Python may have been told to leave them out
            return ""
        return self.generated.source.splitlines()[first - 1][start:end]
