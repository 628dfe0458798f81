"""Compiled programs in files, for later processes.

A file holds what is said `about` the programs, which JSON can hold, and the programs, after a hash
of all that. What was cut short or changed is no such file; what was changed on purpose can have the
hash that belongs to it, and programs are code: so files are read from a folder that is the user's
own alone (`is_private`).
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from ppl.inference.folder import write_whole

#: files in a folder, of which the ones used longest ago go
MOST = 200


def is_private(folder: Path) -> bool:
    """Whether a folder, made if it is not there, is the user's, and nobody else can look into it
    or write to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
    except OSError:
        return False
    return hasattr(os, "geteuid") and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def write(file: Path, about: Mapping[str, Any], programs: Mapping[str, bytes]) -> None:
    """Write programs under their names; a folder that cannot be written, or is full, stays as it
    is."""
    parts = {name: zlib.compress(content, 1) for name, content in programs.items()}
    sizes = {name: len(part) for name, part in parts.items()}
    head = json.dumps({"about": about, "sizes": sizes}).encode()
    content = b"\n".join([head, b"".join(parts.values())])
    with suppress(OSError):
        write_whole(file, sha256(content).hexdigest().encode() + b"\n" + content)
        others = sorted(file.parent.glob(f"*{file.suffix}"), key=lambda f: f.stat().st_mtime)
        for old in others[:-MOST]:
            old.unlink()


def forget(file: Path) -> None:
    """Remove a file whose programs do not run."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def read(file: Path) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    """What is said about the programs of a file, and they; None if it is not there, or not as it
    was written."""
    try:
        known, _, content = file.read_bytes().partition(b"\n")
        if known != sha256(content).hexdigest().encode():
            return None
    except OSError:
        return None
    with suppress(OSError):
        os.utime(file)  # it was used
    head, _, rest = content.partition(b"\n")
    found, programs, start = json.loads(head), {}, 0
    for name, size in found["sizes"].items():
        programs[name] = zlib.decompress(rest[start : start + size])
        start += size
    return found["about"], programs
