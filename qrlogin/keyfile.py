"""A secret in a file of its own, for whoever has nowhere else to keep one. Codes and their keys' rings are not its business."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from qrlogin.codes import new_key
from qrlogin.errors import Misconfigured


def kept_key(path: str | os.PathLike[str]) -> str:
    """The secret key in this file; a new one if there is no such file yet.

    The file appears at once and whole, with mode 0600, so processes that start together agree on one key. Its folder must be
    there. Raises `Misconfigured` when others may read the file (where modes say so: not on Windows) or when it is empty, and
    OSError when it cannot be made or read.
    """
    file = Path(path)
    if not file.exists():
        with tempfile.NamedTemporaryFile("w", dir=file.parent, encoding="ascii") as draft:  # mode 0600, a name of its own
            draft.write(new_key())
            draft.flush()
            with suppress(FileExistsError):
                os.link(draft.name, file)
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise Misconfigured(f"others can read {file.name}: chmod 600 it, or take it away for a new one")
    key = file.read_text("ascii").strip()
    if not key:
        raise Misconfigured(f"{file.name} is empty: take it away for a new key")
    return key
