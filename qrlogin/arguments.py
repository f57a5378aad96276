"""What an application may pass to the core, checked before anything else is done. Every refusal says what would be right.

It knows sizes and spellings, and no login: what comes out is text that fits a record and can be shown to a person.
"""

import json
from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Final
from unicodedata import category

from qrlogin.errors import BadArgument, Misconfigured

CONTEXT_BYTES: Final = 400
SHOWN_AS_BYTES: Final = 200
SUBJECT_BYTES: Final = 255  # OpenID Connect Core section 2: `sub` is at most 255 characters
CLIENT_ID_BYTES: Final = 128
_OP: Final = range(16, 129)
_TAG: Final = range(129)


def check_person(subject: str, phone: str) -> None:
    if not isinstance(subject, str) or not subject or not _fits(subject, SUBJECT_BYTES):
        raise BadArgument(f"subject must be your own id of the user, as text of 1 to {SUBJECT_BYTES} bytes")
    if not _fits(phone, SUBJECT_BYTES):
        raise BadArgument(f"phone must be text of at most {SUBJECT_BYTES} bytes")


def check_shown_as(shown_as: str, *, required: bool) -> None:
    if required and not shown_as:
        raise BadArgument('scan() needs shown_as, such as "M•••a": the browser asks "continue as M•••a?" before it goes on')
    if not _fits(shown_as, SHOWN_AS_BYTES) or not _is_readable(shown_as):
        raise BadArgument(f"shown_as must be printable text of at most {SHOWN_AS_BYTES} bytes")


def check_client_id(client_id: str) -> None:
    if not _fits(client_id, CLIENT_ID_BYTES):
        raise BadArgument(f"client_id must be text of at most {CLIENT_ID_BYTES} bytes")


def check_redeem(acknowledged: str, op: str | None) -> None:
    if not _is_ascii(acknowledged, _TAG):
        raise BadArgument("acknowledged must be scanned_by.tag, from the status that told the browser who scanned")
    if op is not None and not (_is_ascii(op, _OP) and op.replace("-", "").replace("_", "").isalnum()):
        raise BadArgument("op must be 16 to 128 letters, digits, - or _: random, made once per click and kept until answered")


def check_on_event(on_event: object, *, awaited: bool) -> None:
    """Whether this callback has the colour of the shell that it is given to."""
    if on_event is None:
        return
    if not callable(on_event):
        raise Misconfigured("on_event must be a function of one argument, the Event")
    coloured = iscoroutinefunction(on_event) or iscoroutinefunction(type(on_event).__call__)
    if coloured and not awaited:
        raise Misconfigured("this on_event is awaited: write it with def, or use AsyncQRLogin")
    if awaited and not coloured:
        raise Misconfigured("this on_event blocks: write it with async def, or use QRLogin")


def freeze(context: Mapping[str, str]) -> str:
    """The text under which a context is stored and sealed."""
    if not isinstance(context, Mapping):
        raise BadArgument(f"context must be a mapping such as {{'browser': 'Firefox on Linux'}}, not {type(context).__name__}")
    for name, value in context.items():
        if not isinstance(name, str) or not isinstance(value, str) or not _is_readable(name + value):
            raise BadArgument("context must map text to printable text: it is shown to a person")
    frozen = json.dumps(dict(sorted(context.items())), ensure_ascii=False, separators=(",", ":"))
    if not _fits(frozen, CONTEXT_BYTES):
        raise BadArgument(f"context must fit into {CONTEXT_BYTES} bytes of JSON: shorten its values")
    return frozen


def thaw(frozen: str) -> Mapping[str, str]:
    """The context that was frozen; only after its seal was checked."""
    thawed: dict[str, str] = json.loads(frozen) if frozen else {}
    return thawed


def _fits(text: str, limit: int) -> bool:
    try:
        return isinstance(text, str) and len(text.encode()) <= limit
    except UnicodeEncodeError:
        return False


def _is_readable(text: str) -> bool:
    """Nothing that could turn, hide or break a line: names may hold any letter and any space of theirs, such as U+3000."""
    return all(character.isprintable() or category(character) == "Zs" for character in text)


def _is_ascii(text: object, lengths: range) -> bool:
    return isinstance(text, str) and text.isascii() and len(text) in lengths
