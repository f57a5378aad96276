"""What a browser keeps of the accounts that it was logged in to, and what a phone learns of it.

A redeem gives the browser a text that it keeps, in a cookie or in its own memory: a random name of
this browser, and an entry for each account, the newest first. An entry is a MAC over that name and
the account, so no one else can make it, it counts for no other account, and it names none.

Begin puts digests of the entries into the record, which `begin_seal` covers. A phone that looks or
scans says which account asks, and the core compares. The record never holds an entry, so a stolen
store turns no other browser into a known one. Who copies the text from the browser itself has
copied that fact.
"""

import re
from collections.abc import Sequence
from typing import Final

from qrlogin.keys import Key, equal_in_constant_time

MAX_ACCOUNTS: Final = 8
"""How many accounts a browser keeps an entry for; a new one replaces the oldest."""

MAX_KNOWN_LENGTH: Final = 23 * (1 + MAX_ACCOUNTS) - 1
"""The most characters of what a browser keeps."""

#: What a record holds for a browser that has no entry.
_NEVER: Final = "no-entry"
_LENGTH: Final = 22  # characters of a name or an entry: 132 bits
_DIGEST_LENGTH: Final = 11  # characters: 66 bits, and each guess costs a login
_KNOWN: Final = re.compile(rf"[\w-]{{22}}(?:\.[\w-]{{22}}){{1,{MAX_ACCOUNTS}}}", re.ASCII)


def known_at_begin(key: Key, login_id: str, known: str | None) -> str:
    """The field `known` of a new record.

    :param key: the login's key.
    :param login_id: the login.
    :param known: what the browser has kept; "" for nothing. None: this client never says, and the
        field is empty.
    """
    if known is None:
        return ""
    name, *entries = _read(known)
    if not entries:
        return _NEVER
    return ".".join([name, *(_digest(key, login_id, entry) for entry in entries)])


def is_known(keys: Sequence[Key], key: Key, login_id: str, field: str, subject: str) -> bool | None:
    """Whether the browser that began a login was logged in to an account before. None: its client
    never says.

    :param keys: all keys of the application, any of which may have made the entry.
    :param key: the login's key.
    :param login_id: the login.
    :param field: `known` of the record, whose seal was checked.
    :param subject: the application's id of the account.
    """
    if not field:
        return None
    name, *digests = field.split(".")
    expected = [_digest(key, login_id, _entry(each, name, subject)) for each in keys]
    # Every pair is compared, so the time does not show which account it was.
    pairs = [equal_in_constant_time(one, digest) for one in expected for digest in digests]
    return any(pairs)


def known_after_redeem(keys: Sequence[Key], login_id: str, known: str, subject: str) -> str:
    """What the browser keeps from now on: an entry by the signing key for this account, and the
    entries of the others. A redeem that is repeated gets the same.

    :param keys: all keys of the application, the signing one first.
    :param login_id: the login, from which a browser that kept nothing gets its name.
    :param known: what the browser has kept; "" for nothing.
    :param subject: the application's id of the account.
    """
    name, *entries = _read(known)
    name = name or keys[0].mac("browser", login_id)[:_LENGTH]
    new, *older = (_entry(each, name, subject) for each in keys)
    others = [entry for entry in entries if entry not in (new, *older)]
    return ".".join([name, new, *others[: MAX_ACCOUNTS - 1]])


def _read(known: str) -> list[str]:
    """The name and the entries; no name and no entry for a text that no redeem has made."""
    return known.split(".") if _KNOWN.fullmatch(known) else [""]


def _entry(key: Key, name: str, subject: str) -> str:
    return key.mac("known", name, subject)[:_LENGTH]


def _digest(key: Key, login_id: str, entry: str) -> str:
    return key.mac("known-at-begin", login_id, entry)[:_DIGEST_LENGTH]
