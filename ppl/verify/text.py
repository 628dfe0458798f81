"""The text of terms: what has to be put in parentheses, braces, or further in."""

from __future__ import annotations


def closed(text: str) -> bool:
    """Whether the text is one operand: a name, a call, brackets; not `a + b` nor `(a) + (b)`."""
    if text.startswith(("fn ", "if ", "fold ", "scan ", "for ", "match ", "{")):
        return False
    depth = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and not (c.isalnum() or c in "_.)]}"):
            return False
    return True


def operand(text: str) -> str:
    """In parentheses, unless it is one operand already."""
    return text if closed(text) else f"({text})"


def head(text: str) -> str:
    """What may stand before a block: in parentheses if it has braces of its own."""
    return f"({text})" if "{" in text else text


def indent(text: str) -> str:
    return "\n".join("  " + line for line in text.split("\n"))


def braces(lines: list[str]) -> str:
    """A block: on one line if it is short."""
    if len(lines) == 1 and "\n" not in lines[0]:
        return f"{{ {lines[0]} }}"
    return "{\n" + indent("\n".join(lines)) + "\n}"
