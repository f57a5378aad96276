"""Creates and loads a secret key file, for deployments without a secret store."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from qrlogin.errors import Misconfigured
from qrlogin.keys import bytes_of_key, new_key


def load_or_create_key(path: str | os.PathLike[str]) -> str:
    """Return the secret key in this file. If the file does not exist, create it with a new key.

    The file is created in one step, with its content and with mode 0600. So processes that start
    together on one machine use the same key. Several machines, and containers whose disk does not
    outlive them, need a key in their settings.

    :param path: the file. Its folder must exist.
    :raises Misconfigured: the folder does not exist, other users can read the file (not checked on
        Windows), it cannot be read, it does not hold a key, or it cannot be created, for example in
        a folder that is read-only. The message says what to do.
    """
    file = Path(path)
    try:
        return _load_or_create(file)
    except OSError as error:
        raise Misconfigured(
            f"{file.name} cannot be read ({error.strerror}): "
            "let the user of this process read it and its folder"
        ) from error


def private_folder(path: str | os.PathLike[str]) -> Path:
    """Return this folder. It is created if it does not exist, readable by its owner alone.

    A folder with other permissions gets these. Raises `OSError` if it cannot be created.
    """
    folder = Path(path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _others_can_read(folder.stat()):
        folder.chmod(0o700)
    return folder


def _load_or_create(file: Path) -> str:
    if not file.parent.is_dir():
        raise Misconfigured(
            f"a key cannot be kept in {file.parent}: make that folder first, with mode 700"
        )
    if not file.exists():
        _create(file)
    if not file.is_file():
        raise Misconfigured(f"a key is kept in a file, and {file} is not a file")
    if _others_can_read(file.stat()):
        raise Misconfigured(
            f"others can read {file.name}: chmod 600 it, or delete it to get a new key"
        )
    key = file.read_bytes().strip()
    try:
        bytes_of_key(key.decode("ascii"))
    except ValueError:  # the base class of UnicodeDecodeError and of Misconfigured
        raise Misconfigured(
            f"{file.name} does not hold a key: delete it to get a new one"
        ) from None
    return key.decode()


def _create(file: Path) -> None:
    # A draft with a unique name and mode 0600. Its link to the final name appears in one step.
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as error:
        raise _cannot_create(file, error) from error
    try:
        with open(descriptor, "w", encoding="ascii") as out:
            if _others_can_read(os.fstat(descriptor)):
                raise Misconfigured(
                    f"others can read every file in {file.parent}: "
                    f"keep {file.name} elsewhere, or in your settings"
                )
            out.write(new_key())
            out.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was faster; its key is used
            os.link(draft, file)
    except OSError as error:
        raise _cannot_create(file, error) from error
    finally:
        os.unlink(draft)


def _cannot_create(file: Path, error: OSError) -> Misconfigured:
    return Misconfigured(
        f"{file.name} cannot be created ({error.strerror}): keep it elsewhere, or in your settings"
    )


def _others_can_read(status: os.stat_result) -> bool:
    return os.name == "posix" and bool(status.st_mode & 0o077)
