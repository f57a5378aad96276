"""Checks what the application passes to the core, before anything else happens.

Every error says what a correct value is. An id is exact, so it is accepted or refused. A name is
cleaned, so that no name prevents its user from logging in. What passes fits into a record and is
safe to show. This module knows sizes and spellings, and no login.
"""

import json
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from types import EllipsisType
from typing import Final, TypeAlias, TypeVar

from qrlogin.errors import BadArgument, Misconfigured
from qrlogin.names import clean

ShownAs: TypeAlias = str | EllipsisType | None
"""The name that the browser shows of the user who scanned. None and "" are a user without a name.

`...` means that the application did not pass one, which `Policy.names_scanner` forbids.
"""

C = TypeVar("C", bound=Callable[..., object])

CONTEXT_BYTES: Final = 400
SHOWN_AS_BYTES: Final = 200
SUBJECT_BYTES: Final = 255  # OpenID Connect Core section 2: `sub` is at most 255 characters
BEGUN_BY_BYTES: Final = 128
_UNCUT: Final = 1 << 62  # bytes: a context that is too large is refused, not cut
_OP_LENGTHS: Final = range(16, 129)
_TAG_LENGTHS: Final = range(129)


# The phone's calls


def check_person(subject: str, phone: str) -> None:
    """Raise `BadArgument` unless these can name a user and a phone."""
    if not isinstance(subject, str) or not subject or not _fits(subject, SUBJECT_BYTES):
        raise BadArgument(
            f"subject must be your own id of the user, a text of 1 to {SUBJECT_BYTES} bytes"
        )
    if not _fits(phone, SUBJECT_BYTES):
        raise BadArgument(f"phone must be a text of at most {SUBJECT_BYTES} bytes")


def clean_name(shown_as: ShownAs, *, required: bool) -> str:
    """Return the name that the browser shows, "" for a user without one.

    Raises `BadArgument` if it is not a text, or if it is `required` and was not passed.
    """
    if shown_as is ... and required:
        raise BadArgument(
            'scan() needs shown_as, such as "M•••a", or "" for a user without a name: '
            'the browser asks "continue as M•••a?" before it continues'
        )
    if shown_as is ... or shown_as is None:
        return ""
    if not isinstance(shown_as, str):
        raise BadArgument(f"shown_as must be text, not {type(shown_as).__name__}")
    return clean(shown_as, SHOWN_AS_BYTES)


# The browser's calls


def check_begun_by(begun_by: str) -> None:
    """Raise `BadArgument` unless this can name a dialect and its client."""
    if not _fits(begun_by, BEGUN_BY_BYTES):
        raise BadArgument(f"begun_by must be a text of at most {BEGUN_BY_BYTES} bytes")


def check_redeem(acknowledged: str, op: str | None) -> None:
    """Raise `BadArgument` unless these can be a tag and an `op`."""
    if not _is_ascii(acknowledged, _TAG_LENGTHS):
        raise BadArgument("acknowledged must be the scanned_by.tag of the status that was shown")
    if op is not None and not (
        _is_ascii(op, _OP_LENGTHS) and op.replace("-", "").replace("_", "").isalnum()
    ):
        raise BadArgument(
            "op must be 16 to 128 letters, digits, - or _: "
            "draw a random one for each click and keep it until the answer arrives"
        )


def encode_context(context: Mapping[str, str]) -> str:
    """Return the text that stores a context and is sealed. Its values are cleaned, as names are.

    Raises `BadArgument` if it is not a mapping of texts, or is too large.
    """
    if not isinstance(context, Mapping):
        raise BadArgument(
            "context must be a mapping such as {'browser': 'Firefox on Linux'}, "
            f"not {type(context).__name__}"
        )
    cleaned: dict[str, str] = {}
    for name, value in context.items():
        if not isinstance(name, str) or not isinstance(value, str) or clean(name, _UNCUT) != name:
            raise BadArgument("context must map printable names to texts: the phone shows it")
        cleaned[name] = clean(value, _UNCUT)
    frozen = json.dumps(dict(sorted(cleaned.items())), ensure_ascii=False, separators=(",", ":"))
    if not _fits(frozen, CONTEXT_BYTES):
        raise BadArgument(
            f"context must fit into {CONTEXT_BYTES} bytes of JSON: shorten its values"
        )
    return frozen


def decode_context(frozen: str) -> Mapping[str, str]:
    """Return the context that `encode_context` encoded. Check its seal before."""
    thawed: dict[str, str] = json.loads(frozen) if frozen else {}
    return thawed


# Callbacks


def check_on_event(on_event: object, *, awaited: bool) -> None:
    """Raise `Misconfigured` unless AsyncQRLogin (`awaited`) or QRLogin can call this."""
    if on_event is None:
        return
    if not callable(on_event):
        raise Misconfigured("on_event must be a function of one argument, the Event")
    is_async = iscoroutinefunction(on_event) or iscoroutinefunction(type(on_event).__call__)
    if is_async and not awaited:
        raise Misconfigured("QRLogin cannot await on_event: write it with def, or use AsyncQRLogin")
    if awaited and not is_async:
        raise Misconfigured("AsyncQRLogin awaits on_event: write it with async def, or use QRLogin")


def check_sync_callback(callback: C) -> C:
    """Return a dialect's callback. Raises `Misconfigured` for a coroutine function.

    A dialect would take the coroutine that it returns for a yes.
    """
    if iscoroutinefunction(callback):
        raise Misconfigured(
            "a dialect cannot await this callback: pass a def function that answers from memory"
        )
    return callback


def _fits(text: str, limit: int) -> bool:
    try:
        return isinstance(text, str) and len(text.encode()) <= limit
    except UnicodeEncodeError:
        return False


def _is_ascii(text: object, lengths: range) -> bool:
    return isinstance(text, str) and text.isascii() and len(text) in lengths
