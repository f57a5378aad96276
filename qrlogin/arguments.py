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
from qrlogin.names import clean, exact

ShownAs: TypeAlias = str | EllipsisType | None
"""The name that the browser shows of the user who scanned. None and "" are a user without a name.

`...` means that the application did not pass one, which `Policy.names_scanner` forbids.
"""

C = TypeVar("C", bound=Callable[..., object])

CONTEXT_BYTES: Final = 800
SHOWN_AS_BYTES: Final = 200
NAME_BYTES: Final = 320  # the longest address of RFC 5321: 64 bytes, @, and 255 bytes
#: How many digits a match code may have; 0 is none.
MATCH_DIGITS: Final = (0, 2, 3)
SUBJECT_BYTES: Final = 255  # OpenID Connect Core section 2: `sub` is at most 255 characters
BEGUN_BY_BYTES: Final = 128
DESCRIPTION_BYTES: Final = 200  # of a context in a dialect, which adds facts that must not be cut
_UNCUT: Final = 1 << 62  # bytes
_SHORTEST_FACT: Final = 16  # bytes to which a long fact may be cut
_ASSURANCE_LENGTHS: Final = range(65)
_OP_LENGTHS: Final = range(16, 129)
_TAG_LENGTHS: Final = range(129)


# The phone's calls


def check_person(subject: str, phone: str) -> None:
    """Raise `BadArgument` unless these can name a user and a phone. Each mistake has a message."""
    if not isinstance(subject, str):
        raise BadArgument(
            "subject must be text, your own id of the user: pass str(user.id), "
            f"not {type(subject).__name__}"
        )
    if not subject:
        raise BadArgument(
            "subject must not be empty: it is your own id of the user who is signed in on the phone"
        )
    _check_id("subject", subject)
    if not isinstance(phone, str):
        raise BadArgument(
            f"phone must be text, your own id of the phone, not {type(phone).__name__}"
        )
    _check_id("phone", phone)


def check_assurance(assurance: str) -> None:
    """Raise `BadArgument` unless this can say what an approval met."""
    if not (_is_ascii(assurance, _ASSURANCE_LENGTHS) and assurance.isprintable()):
        raise BadArgument(
            'assurance must be at most 64 printable ASCII characters, such as "passkey"'
        )


def check_match_code(match_code: str) -> None:
    """Raise `BadArgument` unless this can be a match code, or is "" for none."""
    digits = isinstance(match_code, str) and match_code.isascii() and match_code.isdigit()
    if match_code != "" and not (digits and len(match_code) in MATCH_DIGITS):
        raise BadArgument('match_code must be the 2 or 3 digits that were typed, or "" for none')


def needs_match(digits: int) -> str:
    """What the record of a login says that needs a match code of so many digits; "" for none."""
    return f"match{digits}" if digits else ""


def encode_facts(assurance: str, phone: str) -> str:
    """Return the text that stores what is known of an approval, and is sealed with it."""
    return f"{assurance}\n{phone}" if assurance or phone else ""


def decode_facts(facts: str) -> tuple[str, str]:
    """Return the assurance and the phone that `encode_facts` encoded. Check their seal before."""
    assurance, _, phone = facts.partition("\n")
    return assurance, phone


def _check_id(name: str, text: str) -> None:
    if not _is_unicode(text):
        raise BadArgument(f"{name} must be valid Unicode: it has half of a surrogate pair")
    if not _fits(text, SUBJECT_BYTES):
        raise BadArgument(
            f"{name} must have at most {SUBJECT_BYTES} bytes: an id is exact, so it is not cut"
        )


def check_shown_as(shown_as: ShownAs) -> None:
    """Raise `BadArgument` unless this can be a name, or is missing."""
    if shown_as is not ... and shown_as is not None and not isinstance(shown_as, str):
        raise BadArgument(f"shown_as must be text, not {type(shown_as).__name__}")


def require_shown_as(shown_as: ShownAs, call: str) -> None:
    """Raise `BadArgument` if the name is missing from `call`, such as "scan()"."""
    if shown_as is ...:
        raise BadArgument(
            f'{call} needs shown_as, such as "M•••a", or "" for a user without a name: '
            'the browser asks "continue as M•••a?" before it continues'
        )


def clean_name(shown_as: ShownAs, *, required: bool) -> str:
    """Return the name that the browser shows, "" for a user without one.

    Raises `BadArgument` if it is not a text, or if it is `required` and was not passed.
    """
    if required:
        require_shown_as(shown_as, "scan()")
    check_shown_as(shown_as)
    return clean(shown_as, SHOWN_AS_BYTES) if isinstance(shown_as, str) else ""


def clean_account_name(name: str) -> str:
    """Return the full name of an account as the browser shows it. Raises `BadArgument` if it is not
    a text.
    """
    if not isinstance(name, str):
        raise BadArgument(
            "name must be text, the account's full and unique name such as its mail address, "
            f"not {type(name).__name__}"
        )
    return exact(name, NAME_BYTES)


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
    """Return the text that stores a context and is sealed, as `fit_context` leaves it.

    Raises `BadArgument` if it is not a mapping of texts, or has too many facts.
    """
    return _as_json(fit_context(context, CONTEXT_BYTES))


def fit_context(context: Mapping[str, str], room: int) -> Mapping[str, str]:
    """Return a context whose values are cleaned, as names are. If it is too large, its longest
    values are cut.

    Raises `BadArgument` if it is not a mapping of texts, or has too many facts.

    :param context: facts by their names.
    :param room: how many bytes it may have as JSON.
    """
    if not isinstance(context, Mapping):
        raise BadArgument(
            "context must be a mapping such as {'browser': 'Firefox on Linux'}, "
            f"not {type(context).__name__}"
        )
    for name, value in context.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise BadArgument(
                "context must map text to text, because the phone shows it: "
                f"it maps {type(name).__name__} to {type(value).__name__}"
            )
        if clean(name, _UNCUT) != name:
            raise BadArgument(
                "the names in context must be printable, because the phone shows them as labels"
            )
    whole = _cut_values(context, room)
    if _fits(_as_json(whole), room):
        return whole
    fitting, fits, too_long = _cut_values(whole, _SHORTEST_FACT), _SHORTEST_FACT, room
    if not _fits(_as_json(fitting), room):
        raise BadArgument(
            f"context has too many facts or too long names: it must fit into {room} bytes "
            f"of JSON, and no fact is cut below {_SHORTEST_FACT} bytes"
        )
    while too_long - fits > 1:  # find the highest limit that fits
        limit = (fits + too_long) // 2
        longer = _cut_values(whole, limit)
        if _fits(_as_json(longer), room):
            fitting, fits = longer, limit
        else:
            too_long = limit
    return fitting


def _cut_values(context: Mapping[str, str], limit: int) -> Mapping[str, str]:
    return {name: clean(context[name], limit) for name in sorted(context)}


_to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _as_json(context: Mapping[str, str]) -> str:
    return _to_json(context)


def decode_context(frozen: str) -> Mapping[str, str]:
    """Return the context that `encode_context` encoded. Check its seal before."""
    thawed: dict[str, str] = json.loads(frozen) if frozen else {}
    return thawed


# Callbacks


def is_async(function: object) -> bool:
    """Whether it is an async function, or an object whose call is one. If not, it may block."""
    return iscoroutinefunction(function) or iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004
    )


def check_on_event(on_event: object, *, awaited: bool) -> None:
    """Raise `Misconfigured` unless AsyncQRLogin (`awaited`) or QRLogin can call this."""
    if on_event is None:
        return
    if not callable(on_event):
        raise Misconfigured("on_event must be a function of one argument, the Event")
    if is_async(on_event) and not awaited:
        raise Misconfigured("QRLogin cannot await on_event: write it with def, or use AsyncQRLogin")
    if awaited and not is_async(on_event):
        raise Misconfigured("AsyncQRLogin awaits on_event: write it with async def, or use QRLogin")


def check_callback(callback: C, call: str, *, awaited: bool = False) -> C:
    """Return a function of the application. Raises `Misconfigured` for what cannot be called, and
    for an async function where nothing awaits it: its coroutine would be taken for a yes.

    :param callback: what the application passed.
    :param call: how it is called, such as `clients(client_id)`.
    :param awaited: whether an async function is awaited.
    """
    if not callable(callback):
        raise Misconfigured(f"{call} must be a function")
    if is_async(callback) and not awaited:
        raise Misconfigured(f"nothing here can await {call}: write it with def")
    return callback


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(text: str, limit: int) -> bool:
    try:
        return isinstance(text, str) and len(text.encode()) <= limit
    except UnicodeEncodeError:
        return False


def _is_ascii(text: object, lengths: range) -> bool:
    return isinstance(text, str) and text.isascii() and len(text) in lengths
