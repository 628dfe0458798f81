"""Models in Jupyter cells: after `%load_ext ppl.notebook`,

    %%ppl
    model coin(heads: nat) { p ~ beta(1, 1); observe heads ~ binomial(10, p); return p }

binds `coin` in the notebook. `%%ppl name` binds the models of the cell as `name` instead. A cell
that has problems fails, so that what runs all cells stops there.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ppl.semantics.diagnostics import DiagnosticError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Define `%%ppl`, and render diagnostics raised by any cell without a traceback."""

    def ppl(line: str, cell: str) -> None:
        """Compile the cell; bind its models, or all of them under the name on the line."""
        _bind(shell, line.strip(), cell)

    shell.magics_manager.register_function(ppl, "cell")
    shell.set_custom_exc((DiagnosticError,), _show)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magic and the handler away."""
    shell.magics_manager.magics["cell"].pop("ppl", None)
    shell.set_custom_exc((), None)


def _bind(shell: InteractiveShell, name: str, cell: str) -> None:
    from ppl.model import compile

    if name and not name.isidentifier():
        from IPython.core.error import UsageError

        raise UsageError(f"%%ppl takes one name for the models of the cell, not `{name}`")
    models = compile(cell, name=f"<cell {shell.execution_count}>", folder=".")
    for warning in models.warnings:
        print(warning, file=sys.stderr)
    if not name and not len(models):
        print("%%ppl: this cell declares no model", file=sys.stderr)
    shell.push({name: models} if name else {m.name: m for m in models})


def _show(shell: Any, kind: type, error: BaseException, trace: Any, tb_offset: Any = None) -> None:
    print(error, file=sys.stderr)
