"""The codes of one application: how each is made, spelled and read.

    device_code   only the browser has it: to watch, cancel and redeem
    scan_code     what a phone hands in. It takes one of three forms:
        rotating    the usual one: signed, with a deadline of its own. A new one every few seconds
                    needs no write. 48 characters, so that its picture is small
        fixed       16 bytes with check bytes inside, for dialects whose public id must look like
                    theirs. It lives as long as its login
        typed       the user_code: eight letters, XXXX-XXXX, for users without a camera
                    (RFC 8628 section 6.1). It carries no signature

A signed code is accepted in one spelling only: its signature is computed again and compared as
text, or as bytes that only one text has. Length and form are checked before cryptography, and
cryptography before the store. This module reads no clock and knows no state.
"""

import base64
import hmac
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from qrlogin.addresses import (
    MAX_ADDRESS_LENGTH,
    code_in_address,
    is_loopback,
    parse_page_address,
)
from qrlogin.errors import InvalidCode, Misconfigured
from qrlogin.keys import (
    Key,
    base64_decode,
    base64_encode,
    equal_in_constant_time,
    key_ring,
    refuse_published_keys,
)
from qrlogin.seals import device_digest, name_record_id

MAX_CODE_LENGTH: Final = 512  # characters of a code, without the address before it

_ID = r"([A-Za-z0-9_-]{22})"
_MAC = r"([A-Za-z0-9_-]{43})"
_MS = r"(0|[1-9][0-9]{0,14})"
_DEVICE_CODE = re.compile(
    rf"{_ID}\.{_MAC}\.{_MS}\.{_MS}\.([A-Za-z0-9_-]{{0,172}})\.([a-z]{{0,8}})\.{_MAC}"
)
# 36 bytes in base64 leave no bit unused, so no other text has the same bytes.
_ROTATING_CODE = re.compile(r"[A-Za-z0-9_-]{48}")
_ID_BYTES: Final = 16
_DEADLINE_BYTES: Final = 4  # seconds since 1970, until 2106
_SHORT_MAC_BYTES: Final = 16
_LONG_ROTATING_CODE = re.compile(rf"{_ID}\.{_MS}\.{_MAC}")

_FIXED_CODE = re.compile(r"[0-9a-f]{32}|[A-Za-z0-9_-]{22}==")
_FIXED_CODE_BYTES: Final = 16
_FIXED_RANDOM_BYTES: Final = 10  # the others are the check bytes

USER_CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""The letters of a user_code: no vowels, so no words, and no two that look alike (RFC 8628 6.1)."""

_USER_CODE_LENGTH: Final = 8
_LOOK_ALIKES: Final = str.maketrans("0O1I2568UY", "QQLLZSGBVV")
_MAX_TYPED_LENGTH: Final = 40  # characters in which a user may type the eight letters

UNASKED: Final = "c"
"""In the flags of a device_code: the login was begun with `ask_browser=False`."""

FIXED: Final = "f"
"""In the flags of a device_code: the scan code does not rotate."""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a genuine device_code says."""

    login_id: str
    """The login that it belongs to."""

    secret: str = field(repr=False)
    """256 random bits that only the browser has."""

    begun_at: int
    """When the login began, by the store's clock, in milliseconds since 1970."""

    ends_at: int
    """The end of the login, whenever it is scanned and approved, in milliseconds since 1970.

    It is signed, and the deadlines in the record are not, so it limits them all.
    """

    begun_by: str
    """The dialect that began the login, and its client: `Class:client_id`, or `Class:` in a dialect
    without clients. "" for the native dialect and for `QRLogin.begin`.
    """

    flags: str
    """`UNASKED`, `FIXED`, both, or ""."""

    key: Key = field(repr=False)
    """The key that signed it. The login uses this key until it ends."""

    @property
    def digest(self) -> str:
        """What the store keeps in place of the secret."""
        return device_digest(self.key, self.login_id, self.secret)


@dataclass(frozen=True, slots=True)
class ScanCode:
    """What a scan_code says. A typed one says it under each key, and only the store knows more."""

    login_id: str
    """The login that it leads to; for a typed code, the id of its name record (`typed_codes.py`),
    which names the login.
    """

    key: Key = field(repr=False)
    """The key that signed it; for a typed code, the key to try."""

    deadline_ms: int | None = None
    """When it can no longer be scanned, in milliseconds since 1970; None: as long as its login.

    It may confirm, deny and release after that. A browser that has landed with it may also scan.
    """

    typed: bool = False
    """Whether it is a typed code: it is genuine only if the store knows it."""


@dataclass(frozen=True, slots=True)
class NewCodes:
    """A new login_id, which no other login ever has, and the codes that lead to it."""

    login_id: str
    """The id of the new login."""

    fixed: str = field(default="", repr=False)
    """Its fixed code, as 32 hexadecimal digits; "" without one."""

    user_code: str = field(default="", repr=False)
    """Its code to type, XXXX-XXXX; "" without one."""

    name_record_id: str = ""
    """The id of the record that the user_code leads to, which names the login; "" without one."""


class Codes:
    """Makes and reads the codes of one application.

    It holds the application's key ring, its audience, and the address in its QR codes.

    :param secret_keys: the key ring: the first key signs, all of them verify.
    :param verification_uri: the page that opens when a camera reads the QR code.
    :param audience: keeps applications with the same keys apart; None is the page's host.
    :param plain_http: whether the page may be http outside loopback.

    Raises `Misconfigured` for a weak or published key, an address that is not safe, or an invalid
    audience.
    """

    def __init__(
        self,
        secret_keys: Sequence[str | bytes],
        *,
        verification_uri: str,
        audience: str | None,
        plain_http: bool,
    ) -> None:
        if not isinstance(verification_uri, str):
            raise Misconfigured(
                "verification_uri is missing: "
                "give the full address of your page, such as https://example.com/qr"
            )
        origin, host, path = parse_page_address(verification_uri, plain_http)
        self.origin: str = origin
        self.verification_uri: str = origin + path
        self._keys = key_ring(secret_keys, host if audience is None else audience)
        if not is_loopback(host):
            refuse_published_keys(secret_keys)

    @property
    def signing_key(self) -> Key:
        """The key for new logins."""
        return self._keys[0]

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys of the application, the signing one first."""
        return self._keys

    def new_codes(self, *, fixed: bool, typed: bool) -> NewCodes:
        """Draw a new login_id and, if asked for, its fixed or typed code.

        The login_id is random, or follows from the random bytes of a fixed code. It never depends
        on typed letters, because those repeat.
        """
        if fixed:
            return self._new_fixed()
        if typed:
            return self._new_typed()
        return NewCodes(new_login_id())

    def read_scan_code(self, text: str) -> tuple[ScanCode, ...]:
        """Read a scan_code of any form, as a camera read it or a user typed it.

        The text is an address or the code alone. A signed code has one reading. A typed code does
        not show its key, so it has one reading for each of `secret_keys`, the signing one first.
        Raises `InvalidCode`.
        """
        if not isinstance(text, str) or len(text) > MAX_ADDRESS_LENGTH:
            raise InvalidCode("this does not have the form of a scan_code: it is something else")
        found = code_in_address(text, self.verification_uri)
        if _FIXED_CODE.fullmatch(found.text):
            return (self.read_fixed(found.text),)
        if found.may_be_typed and (letters := _letters(found.text)):
            return self._readings_of_typed(letters)
        return (self._read_rotating(found.text if found.may_rotate else ""),)

    # device_code

    def spell_device_code(self, device: DeviceCode) -> str:
        """Spell `device`, signed with its key."""
        begun_by = base64_encode(device.begun_by.encode()).decode()
        parts = (
            device.login_id,
            device.secret,
            str(device.begun_at),
            str(device.ends_at),
            begun_by,
            device.flags,
        )
        return ".".join((*parts, device.key.mac("device_code", *parts)))

    def read_device_code(self, text: str) -> DeviceCode:
        """Read a device_code. Raises `InvalidCode`, without the store, if it is not genuine."""
        parts, key = self._read_signed(text, _DEVICE_CODE, "device_code")
        login_id, secret, begun_at, ends_at, begun_by, flags = parts
        return DeviceCode(
            login_id,
            secret,
            int(begun_at),
            int(ends_at),
            base64_decode(begun_by).decode(),
            flags,
            key,
        )

    # Rotating scan codes

    def rotating_code(self, key: Key, login_id: str, deadline_ms: int) -> str:
        """Spell the rotating code of a login that can be scanned before this instant.

        It says the instant in whole seconds, so the code may end up to a second earlier.

        :param key: the login's key.
        :param login_id: the login.
        :param deadline_ms: the end of this code, in milliseconds since 1970.
        """
        seconds = deadline_ms // 1000
        said = base64_decode(login_id) + seconds.to_bytes(_DEADLINE_BYTES)
        return base64_encode(said + _short_mac(key, login_id, seconds)).decode()

    def _read_rotating(self, text: str) -> ScanCode:
        if not _ROTATING_CODE.fullmatch(text):
            return self._read_long_rotating(text)
        code = base64_decode(text)
        said, mac = code[:-_SHORT_MAC_BYTES], code[-_SHORT_MAC_BYTES:]
        login_id = base64_encode(said[:_ID_BYTES]).decode()
        seconds = int.from_bytes(said[_ID_BYTES:])
        for key in self._keys:
            if hmac.compare_digest(_short_mac(key, login_id, seconds), mac):
                return ScanCode(login_id, key, seconds * 1000)
        raise _not_signed("scan_code")

    def _read_long_rotating(self, text: str) -> ScanCode:
        """Read what a process with an older version shows while both versions run."""
        (login_id, deadline_ms), key = self._read_signed(text, _LONG_ROTATING_CODE, "scan_code")
        return ScanCode(login_id, key, int(deadline_ms))

    # Fixed scan codes

    def _new_fixed(self) -> NewCodes:
        drawn = secrets.token_bytes(_FIXED_RANDOM_BYTES)
        code = drawn + _check_bytes(self.signing_key, drawn)
        return NewCodes(_login_id_of_fixed(code), fixed=code.hex())

    def read_fixed(self, text: str) -> ScanCode:
        """Read a fixed code without an address, in either spelling. Raises `InvalidCode`."""
        if not _FIXED_CODE.fullmatch(text):
            raise InvalidCode(
                "this does not have the form of a fixed code: it was cut short or is something else"
            )
        code = bytes.fromhex(text) if len(text) == 32 else base64.urlsafe_b64decode(text)
        # The last letter of base64 can be spelled in sixteen ways, and only one is ours.
        if text in (code.hex(), fixed_as_base64(code.hex())):
            drawn, check = code[:_FIXED_RANDOM_BYTES], code[_FIXED_RANDOM_BYTES:]
            for key in self._keys:
                if hmac.compare_digest(_check_bytes(key, drawn), check):
                    return ScanCode(_login_id_of_fixed(code), key)
        raise InvalidCode(
            "this application did not make this code: "
            "it was altered, or its key is no longer in secret_keys"
        )

    # Typed scan codes

    def _new_typed(self) -> NewCodes:
        letters = "".join(secrets.choice(USER_CODE_LETTERS) for _ in range(_USER_CODE_LENGTH))
        return NewCodes(
            new_login_id(),
            user_code=f"{letters[:4]}-{letters[4:]}",
            name_record_id=name_record_id(self.signing_key, letters),
        )

    def _readings_of_typed(self, letters: str) -> tuple[ScanCode, ...]:
        return tuple(ScanCode(name_record_id(key, letters), key, typed=True) for key in self._keys)

    # What the signed forms have in common

    def _read_signed(
        self, text: object, form: re.Pattern[str], purpose: str
    ) -> tuple[Sequence[str], Key]:
        """The signed parts, and the key that signed them. Raises `InvalidCode`."""
        text = text if isinstance(text, str) and len(text) <= MAX_CODE_LENGTH else ""
        if not (match := form.fullmatch(text)):
            raise InvalidCode(
                f"this does not have the form of a {purpose}: "
                "it was cut short, mistyped, or is something else"
            )
        *parts, signature = match.groups()
        for key in self._keys:
            if equal_in_constant_time(key.mac(purpose, *parts), signature):
                return parts, key
        raise _not_signed(purpose)


def _not_signed(purpose: str) -> InvalidCode:
    return InvalidCode(
        f"this application did not sign this {purpose}: it was altered, "
        "or its key is no longer in secret_keys, or it is for another audience"
    )


# Random texts


def new_login_id() -> str:
    """128 random bits. A login_id is public and grants nothing."""
    return secrets.token_urlsafe(16)


def new_secret() -> str:
    """256 random bits for one browser."""
    return secrets.token_urlsafe(32)


def new_mark() -> str:
    """96 random bits that tell a resent command from another caller's command."""
    return secrets.token_urlsafe(12)


# The signature of a rotating code


def _short_mac(key: Key, login_id: str, seconds: int) -> bytes:
    return key.mac_bytes("short_scan_code", login_id, str(seconds))[:_SHORT_MAC_BYTES]


# The bytes of a fixed code


def fixed_as_base64(code: str) -> str:
    """Respell a fixed code of 32 hexadecimal digits as base64url with padding."""
    return base64.urlsafe_b64encode(bytes.fromhex(code)).decode()


def _check_bytes(key: Key, drawn: bytes) -> bytes:
    length = _FIXED_CODE_BYTES - _FIXED_RANDOM_BYTES
    return base64_decode(key.mac("fixed", drawn.hex()))[:length]


def _login_id_of_fixed(code: bytes) -> str:
    """A digest, so that a login_id in a log does not show the code in the picture."""
    return base64_encode(sha256(b"qrlogin/fixed/v1" + code).digest()[:16]).decode()


# The letters of a typed code


def _letters(text: str) -> str:
    """The eight letters of a user_code, in whatever way they were typed; "" for any other text.

    Case, punctuation, blanks, invisible signs and the width of the letters (an input method for
    Chinese) do not matter. A sign that looks like one of our letters is read as that letter
    (RFC 8628 section 6.1).
    """
    if len(text) > _MAX_TYPED_LENGTH:
        return ""
    folded = unicodedata.normalize("NFKC", text).upper().translate(_LOOK_ALIKES)
    kept = "".join(sign for sign in folded if unicodedata.category(sign)[0] not in "PZC")
    is_code = len(kept) == _USER_CODE_LENGTH and set(kept) <= set(USER_CODE_LETTERS)
    return kept if is_code else ""
