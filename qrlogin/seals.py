"""MACs that a record holds, so that the store keeps no secret and cannot forge a login.

A digest, or the `redeem_mark` of an op, stands in for a secret. A seal covers fields of the record:
`begin_seal` covers who began, `scanner_seal` who scanned, `approval_seal` who approved, and
`name_seal` which login a typed code leads to. Each is computed with the key that the login began
under, and checked in `reply_checks.py` (`name_seal` in `typed_codes.py`).


The scanner and the approval cover no field of the beginning, because a phone's call is one command
and has not read the record. Their login_id binds them to it: it is random, so no other login ever
has it (`Codes.new_codes`).
"""

from collections.abc import Mapping
from typing import Final

from qrlogin.keys import Key, base64_decode, base64_encode

# Digests and the redeem_mark, in place of secrets and users


def device_digest(key: Key, login_id: str, secret: str) -> str:
    """What the store keeps in place of the browser's secret.

    :param key: the login's key.
    :param login_id: the login.
    :param secret: the random part of its device_code.
    """
    return key.mac("device", login_id, secret)


def redeem_mark(key: Key, login_id: str, op: str) -> str:
    """What the store keeps of a redeem's `op`, to recognise the same call again. It is no
    `Command.mark`, which is random.

    :param key: the login's key.
    :param login_id: the login.
    :param op: the caller's random text for this redeem.
    """
    return key.mac("redeem", login_id, op)


def claim(key: Key, login_id: str, subject: str, phone: str) -> str:
    """Ties confirm, deny and release to the account and phone that scanned.

    It does not depend on the scan_code, so it is the same for every rotating code of a login.

    :param key: the login's key.
    :param login_id: the login.
    :param subject: the application's id of the user who scanned.
    :param phone: the phone, as the application's call names it.
    """
    return key.mac("claim", login_id, subject, phone)


def match_code(key: Key, login_id: str, claim: str, digits: int) -> str:
    """The digits that the browser shows once it is scanned. No store holds them, and for another
    scanner there are others.

    :param key: the login's key.
    :param login_id: the login.
    :param claim: of the account and phone that scanned.
    :param digits: how many there are.
    """
    drawn = int.from_bytes(base64_decode(key.mac("match", login_id, claim, str(digits))))
    return str(drawn % 10**digits).zfill(digits)


def missed(key: Key, login_id: str, claim: str, match_code: str) -> str:
    """What the store keeps of the last wrong match code, to recognise the same try again.

    :param key: the login's key.
    :param login_id: the login.
    :param claim: of the account and phone that scanned.
    :param match_code: what was typed.
    """
    return key.mac("missed", login_id, claim, match_code)


def landing(key: Key, login_id: str) -> str:
    """What a phone's browser gets when it opens the page of a scan_code in time. It may then scan
    the login until `scan_by`, although the code in its address has a deadline of its own.

    It is kept in a cookie, so a link does not carry it to another browser.
    """
    return key.mac("landing", login_id)


def account_digest(key: Key, login_id: str, subject: str) -> str:
    """What a login for only one account keeps of that account, in its field `only_for`.

    :param key: the login's key.
    :param login_id: the login.
    :param subject: the application's id of the account.
    """
    return key.mac("for", login_id, subject)


def ticket(key: Key, login_id: str, approval: str) -> str:
    """What a redirect carries to the page that redeems. It grants nothing without the device_code.

    :param key: the login's key.
    :param login_id: the login.
    :param approval: that field of the record, so that the ticket is good for this approval only.
    """
    return base64_decode(key.mac("ticket", login_id, approval))[:16].hex()


# Ids of records that are not logins


def guess_record_id(key: Key, subject: str) -> str:
    """The id of the record that counts the wrong codes which an account has typed."""
    return _record_id(key.mac("guesses", subject))


def begins_record_id(key: Key, network: str, lane: str) -> str:
    """The id of the record with the allowance of an address to begin logins.

    :param key: the key that signs now.
    :param network: the address, as `network_of` returns it.
    :param lane: "" for first requests, or the lane of a turn.
    """
    return _record_id(key.mac("begins", network, lane))


def scans_record_id(key: Key, subject: str) -> str:
    """The id of the record with the allowance of an account to scan."""
    return _record_id(key.mac("scans", subject))


def turn(key: Key, network: str, drawn: str) -> str:
    """Proves that a browser in this network was refused and got this turn.

    :param key: the key that signs now.
    :param network: the address, as `network_of` returns it.
    :param drawn: the random part of the turn.
    """
    return key.mac("turn", network, drawn)


def first_byte(mac: str) -> int:
    """A number from 0 to 255 that a MAC draws."""
    return base64_decode(mac)[0]


def name_record_id(key: Key, letters: str) -> str:
    """The id of the record that names the login of a typed code."""
    return _record_id(key.mac("typed", letters))


def _record_id(mac: str) -> str:
    """16 bytes of a MAC, spelled as a login_id is."""
    return base64_encode(base64_decode(mac)[:16]).decode()


# Seals

#: What each seal covers, beside the login_id: fields of the record, in this order.
BEGINNING: Final = (
    *("device_digest", "context", "needs", "only_for", "known"),
    *("decide_ms", "redeem_ms"),
)
SCANNER: Final = ("claim", "shown_as")
APPROVAL: Final = ("claim", "subject", "name", "met", "facts")


def begin_seal(key: Key, login_id: str, record: Mapping[str, str]) -> str:
    """Seals which browser began, what the phone is shown of it, what the approval needs, which
    account may scan (`account_digest`; "" for any), to which accounts its browser was logged in
    before (`known_browsers.py`), and how long the later steps may take.

    :param key: the login's key.
    :param login_id: the login.
    :param record: holds the fields of `BEGINNING`; one that is missing counts as "".
    """
    return _seal(key, "begin", login_id, record, BEGINNING)


def scanner_seal(key: Key, login_id: str, record: Mapping[str, str]) -> str:
    """Seals who scanned, and the name that the browser shows until the approval. The browser gets
    it as `ScannedBy.tag` until then.

    :param key: the login's key.
    :param login_id: the login.
    :param record: holds the fields of `SCANNER`; one that is missing counts as "".
    """
    return _seal(key, "scan", login_id, record, SCANNER)


def approval_seal(key: Key, login_id: str, record: Mapping[str, str]) -> str:
    """Seals who approved, under which full name, and what the approval met: the record's field
    `approval`. The browser of a confirmed login gets it as `ScannedBy.tag`, and returns it as
    `acknowledged`.

    :param key: the login's key.
    :param login_id: the login.
    :param record: holds the fields of `APPROVAL`; one that is missing counts as "".
    """
    return _seal(key, "confirm", login_id, record, APPROVAL)


def _seal(
    key: Key, purpose: str, login_id: str, record: Mapping[str, str], covered: tuple[str, ...]
) -> str:
    return key.mac(purpose, login_id, *(record.get(name, "") for name in covered))


def name_seal(key: Key, record_id: str, login_id: str) -> str:
    """Seals which login the letters of a user_code lead to.

    :param key: the login's key.
    :param record_id: the id of the record that holds this seal.
    :param login_id: the login that the record names.
    """
    return key.mac("name", record_id, login_id)
