"""A report as one HTML page that stands by itself: nothing in it is fetched."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from ppl.verify.outcome import Checked

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .8rem .2rem 0;
  vertical-align: top }
pre { background: #f5f5f2; padding: .8rem; overflow-x: auto }
.PASS { color: #17692c } .FAIL { color: #b3261e } .INCONCLUSIVE { color: #8a5a00 }
svg { max-width: 100%; height: auto }
"""


def page(title: str, checked: Sequence[Checked]) -> str:
    """The whole text of the page."""
    rows = "\n".join(
        f'<tr><td class="{c.outcome}">{c.outcome}</td><td><a href="#{i}">{escape(c.name)}</a></td>'
        f"<td>{c.contract}</td><td>{escape(c.why)}</td></tr>"
        for i, c in enumerate(checked)
    )
    parts = "\n".join(_part(i, c) for i, c in enumerate(checked))
    kept = sum(c.ok for c in checked)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{kept} of {len(checked)} laws are kept.</p>
<table>
{rows}
</table>
{parts}
</body>
</html>
"""


def _part(i: int, c: Checked) -> str:
    facts = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(fact)}</td></tr>"
        for name, fact in c.facts.items()
        if fact
    )
    text = f"<pre>{escape(c.text)}</pre>" if c.text else ""
    return f"""<h2 id="{i}"><span class="{c.outcome}">{c.outcome}</span> {escape(c.name)}</h2>
<p>{c.contract}: {escape(c.why)}</p>
<table>
{facts}
</table>
{text}
{c.plot}"""


def svg_of(figure: Any) -> str:
    """A figure of Matplotlib's as an element of the page."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "ppl", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
