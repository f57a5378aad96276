"""A secret in a file of its own, for whoever has nowhere else to keep one. What is signed with it is not its business."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from qrlogin.errors import Misconfigured
from qrlogin.keys import bytes_of_key, new_key


def load_or_create_key(path: str | os.PathLike[str]) -> str:
    """The secret key in this file; a new one if there is no such file yet.

    The file appears at once and whole, with mode 0600, so processes of one machine that start together agree on one key. Several
    machines, and containers that start without their disk, need one key in their settings instead.

    Raises `Misconfigured`, saying what to do, when its folder is not there, when others may read the file (where modes say so:
    not on Windows), when it holds no key, and where such a file cannot be made; OSError when it cannot be read or written.
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise Misconfigured(
            f"a key cannot be kept in {file.parent}: make that folder first, with mode 700"
        )
    if not file.exists():
        _make(file)
    if not file.is_file():
        raise Misconfigured(f"a key is kept in a file, and {file} is none")
    if _others_read(file.stat()):
        raise Misconfigured(
            f"others can read {file.name}: chmod 600 it, or take it away for a new one"
        )
    key = file.read_bytes().strip()
    try:
        bytes_of_key(key.decode("ascii"))
    except ValueError:  # as UnicodeDecodeError and Misconfigured are
        raise Misconfigured(f"{file.name} holds no key: take it away for a new one") from None
    return key.decode()


def _make(file: Path) -> None:
    descriptor, draft = tempfile.mkstemp(
        prefix=f".{file.name}.", dir=file.parent
    )  # mode 0600, a name of its own
    try:
        with open(descriptor, "w", encoding="ascii") as out:
            if _others_read(os.fstat(descriptor)):
                raise Misconfigured(
                    f"others can read all of {file.parent}: keep {file.name} elsewhere, or in your settings"
                )
            out.write(new_key())
            out.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(draft, file)
    except OSError as error:
        raise Misconfigured(
            f"{file.name} cannot be made ({error.strerror}): keep it elsewhere, or in your settings"
        ) from error
    finally:
        os.unlink(draft)


def _others_read(seen: os.stat_result) -> bool:
    return os.name == "posix" and bool(seen.st_mode & 0o077)
