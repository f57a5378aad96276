"""What an application may pass to the core, checked before anything else is done. Every refusal says what would be right.

It knows sizes and spellings, and no login: what comes out is text that fits a record and can be shown to a person. An id is
exact: it is taken or refused. A name is cleaned, so that no name keeps its person from logging in.
"""

import json
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from types import EllipsisType
from typing import Final, TypeAlias, TypeVar

from qrlogin.errors import BadArgument, Misconfigured
from qrlogin.names import clean

#: How the browser names the person who scanned. None or "": a person without a name. `...`: the
#: application does not say, which `Policy.names_scanner` forbids.
ShownAs: TypeAlias = str | EllipsisType | None

C = TypeVar("C", bound=Callable[..., object])

CONTEXT_BYTES: Final = 400
SHOWN_AS_BYTES: Final = 200
SUBJECT_BYTES: Final = 255  # OpenID Connect Core section 2: `sub` is at most 255 characters
CLIENT_ID_BYTES: Final = 128
_UNCUT: Final = 1 << 62  # a context that is too large is refused as a whole
_OP: Final = range(16, 129)
_TAG: Final = range(129)


def check_person(subject: str, phone: str) -> None:
    if not isinstance(subject, str) or not subject or not _fits(subject, SUBJECT_BYTES):
        raise BadArgument(
            f"subject must be your own id of the user, as text of 1 to {SUBJECT_BYTES} bytes"
        )
    if not _fits(phone, SUBJECT_BYTES):
        raise BadArgument(f"phone must be text of at most {SUBJECT_BYTES} bytes")


def clean_name(shown_as: ShownAs, *, required: bool) -> str:
    """The name that the browser shows, "" for a person without one. `required` refuses `...`."""
    if shown_as is ... and required:
        raise BadArgument(
            'scan() needs shown_as, such as "M•••a", or "" for a person without a name: '
            'the browser asks "continue as M•••a?" before it goes on'
        )
    if shown_as is ... or shown_as is None:
        return ""
    if not isinstance(shown_as, str):
        raise BadArgument(f"shown_as must be text, not {type(shown_as).__name__}")
    return clean(shown_as, SHOWN_AS_BYTES)


def check_client_id(client_id: str) -> None:
    if not _fits(client_id, CLIENT_ID_BYTES):
        raise BadArgument(f"client_id must be text of at most {CLIENT_ID_BYTES} bytes")


def check_redeem(acknowledged: str, op: str | None) -> None:
    if not _is_ascii(acknowledged, _TAG):
        raise BadArgument(
            "acknowledged must be scanned_by.tag, from the status that told the browser who scanned"
        )
    if op is not None and not (
        _is_ascii(op, _OP) and op.replace("-", "").replace("_", "").isalnum()
    ):
        raise BadArgument(
            "op must be 16 to 128 letters, digits, - or _: random, made once per click and kept until answered"
        )


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


def encode_context(context: Mapping[str, str]) -> str:
    """The text under which a context is stored and sealed. Its values are cleaned, as names are."""
    if not isinstance(context, Mapping):
        raise BadArgument(
            f"context must be a mapping such as {{'browser': 'Firefox on Linux'}}, not {type(context).__name__}"
        )
    cleaned: dict[str, str] = {}
    for name, value in context.items():
        if not isinstance(name, str) or not isinstance(value, str) or clean(name, _UNCUT) != name:
            raise BadArgument("context must map printable text to text: it is shown to a person")
        cleaned[name] = clean(value, _UNCUT)
    frozen = json.dumps(dict(sorted(cleaned.items())), ensure_ascii=False, separators=(",", ":"))
    if not _fits(frozen, CONTEXT_BYTES):
        raise BadArgument(
            f"context must fit into {CONTEXT_BYTES} bytes of JSON: shorten its values"
        )
    return frozen


def decode_context(frozen: str) -> Mapping[str, str]:
    """The context that was frozen; only after its seal was checked."""
    thawed: dict[str, str] = json.loads(frozen) if frozen else {}
    return thawed


def _fits(text: str, limit: int) -> bool:
    try:
        return isinstance(text, str) and len(text.encode()) <= limit
    except UnicodeEncodeError:
        return False


def _is_ascii(text: object, lengths: range) -> bool:
    return isinstance(text, str) and text.isascii() and len(text) in lengths


def check_sync_callback(callback: C) -> C:
    """A callback of the application that must not be awaited: a coroutine would count as yes. Raises `Misconfigured`."""
    if iscoroutinefunction(callback):
        raise Misconfigured(
            "this callback is awaited, but a dialect has no event loop: give a function that answers from memory"
        )
    return callback
