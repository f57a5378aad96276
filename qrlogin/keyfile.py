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
    there. Raises `Misconfigured` when others may read the file (where modes say so: not on Windows) or when it holds no key, and
    OSError when it cannot be made or read, as on file systems without hard links.
    """
    file = Path(path)
    if not file.exists():
        descriptor, draft = tempfile.mkstemp(dir=file.parent)  # mode 0600, a name of its own
        try:
            with open(descriptor, "w", encoding="ascii") as out:
                out.write(new_key())
            with suppress(FileExistsError):
                os.link(draft, file)
        finally:
            os.unlink(draft)
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise Misconfigured(f"others can read {file.name}: chmod 600 it, or take it away for a new one")
    key = file.read_bytes().strip()
    if not key or not key.isascii():
        raise Misconfigured(f"{file.name} holds no key: take it away for a new one")
    return key.decode()
