"""Codes and seals: what is minted, how it is spelled, and what proves it genuine.

    device_code   only the browser has it: to watch, cancel and redeem
    scan_code     what a phone hands in; it may only be scanned. It comes in three forms:
        rotating    the usual one: signed, with a deadline of its own, and a new one every few seconds without a write
        fixed       16 bytes with a tag inside, for dialects whose public id must look like theirs; lives as long as its login
        user_code   eight letters to type, XXXX-XXXX, for people without a camera (RFC 8628 section 6.1); carries no signature
    claim         ties confirm, deny and release to the account that scanned
    ticket        what a redirect of a script dialect carries: worthless without the browser's device_code
    seals         begin_seal, name_seal, scanner, approval: a writer of the store can forge none of them

All of them are MACs by itsdangerous (HMAC-SHA-256, a salt for each purpose and audience) over length-prefixed parts. What is
signed is accepted in one spelling only: its signature is computed again and compared as text. Length and form come before
cryptography, cryptography before the store. This module reads no clock and knows no state.
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
from urllib.parse import parse_qsl, urlsplit

from itsdangerous.encoding import base64_decode, base64_encode

from qrlogin.addresses import parse_page_address
from qrlogin.errors import InvalidCode, Misconfigured
from qrlogin.keys import NEW_KEY_HINT, Key, bytes_of_key, equal_in_constant_time
from qrlogin.seals import device_digest, shortened

MAX_CODE_LENGTH: Final = 512  # characters of a code, without the address before it

_ID = r"([A-Za-z0-9_-]{22})"
_MAC = r"([A-Za-z0-9_-]{43})"
_MS = r"(0|[1-9][0-9]{0,14})"
_DEVICE_CODE = re.compile(
    rf"{_ID}\.{_MAC}\.{_MS}\.{_MS}\.([A-Za-z0-9_-]{{0,172}})\.([a-z]{{0,8}})\.{_MAC}"
)
_SCAN_CODE = re.compile(rf"{_ID}\.{_MS}\.{_MAC}")
_FIXED = re.compile(r"[0-9a-f]{32}|[A-Za-z0-9_-]{22}==")
_RANDOM_BYTES: Final = 10  # of the 16 of a fixed code; the others are its tag

#: The letters of a user_code: no vowels, so no words; and nothing that looks like another of them (RFC 8628 section 6.1).
USER_CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_USER_CODE_LENGTH: Final = 8
_LOOK_ALIKES: Final = str.maketrans("0O1I2568UY", "QQLLZSGBVV")
#: Where an address carries a code that is not its last part: the clients of the dialects put it there.
_PARAMETERS: Final = ("user_code", "uuid", "lgToken", "qrcode_key", "k")
_MAX_TYPED: Final = 40  # characters that a person may spend on eight letters
_MAX_ADDRESS: Final = 2000
_SYMBOLOGY: Final = re.compile(
    r"\]Q[0-9]"
)  # how some scanners say that it was a QR code (ISO/IEC 15424)
_SCHEME_AND_HOST: Final = re.compile(r"https?://[a-z0-9.:\[\]-]*", re.ASCII | re.IGNORECASE)

#: What may stand in the flags of a device_code.
COLLECTED: Final = "c"  # handed out without a question to the browser
FIXED: Final = "f"  # its scan code does not rotate


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A genuine device_code, read. `key` is the one that it was signed with; its login lives and dies under it."""

    login_id: str
    secret: str = field(repr=False)
    begun_at: int
    redeem_by: int  # signed: the record's deadlines are not, so this one bounds them all
    client_id: str
    flags: str
    key: Key = field(repr=False)

    @property
    def digest(self) -> str:
        """What the store keeps in the secret's place."""
        return device_digest(self.key, self.login_id, self.secret)


@dataclass(frozen=True, slots=True)
class ScanCode:
    """A scan_code, read. After `until` it can no longer scan; it still names its login to confirm, deny and release."""

    login_id: str  # of a user_code: the id of the record that names its login
    key: Key = field(repr=False)
    deadline_ms: int | None = None  # None: as long as its login
    guessed: bool = (
        False  # a user_code: nothing but its being known to the store says that it is genuine
    )


@dataclass(frozen=True, slots=True)
class Minted:
    """A new login_id, which no other login ever had or will have, and the codes that lead to it."""

    login_id: str
    fixed: str = field(default="", repr=False)
    user_code: str = field(default="", repr=False)
    named_at: str = (
        ""  # where the letters of the user_code lead: the id of the record that names the login
    )


class Codes:
    """Mints and reads the codes of one application: its key ring, its audience and the address in its QR codes.

    The first of `secret_keys` signs, all of them verify. Raises `Misconfigured` for weak keys and unsafe addresses.
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
                "verification_uri is missing: give the full address of your page, such as https://example.com/qr"
            )
        self.origin, host, path = parse_page_address(verification_uri.rstrip("/"), plain_http)
        self.verification_uri = self.origin + path
        audience = host if audience is None else audience
        if not re.fullmatch(r"[A-Za-z0-9_.:\[\]-]{1,200}", audience):
            raise Misconfigured(
                "audience must be 1 to 200 letters, digits or ._:- such as a host name"
            )
        if isinstance(secret_keys, str | bytes) or not secret_keys:
            raise Misconfigured(
                f"secret_keys must be a list of keys, the signing one first. {NEW_KEY_HINT}"
            )
        self._keys = tuple(Key(bytes_of_key(key), audience) for key in secret_keys)

    @property
    def signing_key(self) -> Key:
        return self._keys[0]

    # The browser's

    def device_code(self, device: DeviceCode) -> str:
        """`device` spelled, and signed with its key."""
        client_id = base64_encode(device.client_id).decode()
        parts = (
            device.login_id,
            device.secret,
            str(device.begun_at),
            str(device.redeem_by),
            client_id,
            device.flags,
        )
        return ".".join((*parts, device.key.mac("device_code", *parts)))

    def read_device_code(self, text: str) -> DeviceCode:
        """Raises `InvalidCode`, without a glance at any store, for all that this application did not sign itself."""
        parts, key = self._read(text, _DEVICE_CODE, "device_code")
        login_id, secret, begun_at, redeem_by, client_id, flags = parts
        return DeviceCode(
            login_id,
            secret,
            int(begun_at),
            int(redeem_by),
            base64_decode(client_id).decode(),
            flags,
            key,
        )

    # The phone's

    def mint(self, key: Key, *, fixed: bool, typed: bool) -> Minted:
        """A new login_id: random, or what the random bytes of a fixed code lead to. It never depends on letters, which repeat."""
        if fixed:
            drawn = secrets.token_bytes(_RANDOM_BYTES)
            code = drawn + _tag(key, drawn)
            return Minted(_id_of_fixed(code), fixed=code.hex())
        if typed:
            letters = "".join(secrets.choice(USER_CODE_LETTERS) for _ in range(_USER_CODE_LENGTH))
            user_code = f"{letters[:4]}-{letters[4:]}"
            return Minted(new_login_id(), user_code=user_code, named_at=_id_of_typed(key, letters))
        return Minted(new_login_id())

    def scan_code(self, key: Key, login_id: str, until: int) -> str:
        parts = (login_id, str(until))
        return ".".join((*parts, key.mac("scan_code", *parts)))

    def read_scan_code(self, text: str) -> tuple[ScanCode, ...]:
        """The code as the camera read it or a person typed it: an address, or the code alone.

        One, if it is signed. A user_code says nothing of its key, so it is read once for each of `secret_keys`, the signing
        one first. Raises `InvalidCode`.
        """
        if not isinstance(text, str) or len(text) > _MAX_ADDRESS:
            raise InvalidCode("this is not the form of a scan_code: it is something else")
        bare = self._bare(_unwrapped(text))
        if _FIXED.fullmatch(bare):
            return (self.read_fixed(bare),)
        if letters := _letters(bare):
            return tuple(
                ScanCode(_id_of_typed(key, letters), key, guessed=True) for key in self._keys
            )
        (login_id, until), key = self._read(bare, _SCAN_CODE, "scan_code")
        return (ScanCode(login_id, key, int(until)),)

    def _bare(self, text: str) -> str:
        """The code in an address. Only a fixed one proves itself, so the others are taken from our own addresses alone: nobody's
        link is to be mistaken for a login, or for a guess at one.

        Behind a code of our own address there may be what servers and cameras append: one slash, a
        fragment, and parameters that name no code.
        """
        if not text.startswith(("https://", "http://")):
            return text
        try:
            parts = urlsplit(text)
            named = [
                (name, value)
                for name, value in parse_qsl(parts.query, errors="strict")
                if name in _PARAMETERS
            ]
        except (ValueError, UnicodeDecodeError):
            return ""
        page = text.partition("#")[0].partition("?")[0]
        own = page.removeprefix(f"{self.verification_uri}/")
        if own != page and not named and "/" not in (code := own.removesuffix("/")):
            return code  # what lies further below may be a dialect's, as it is when our address is the whole site
        found = named if parts.query else [("", parts.path.rpartition("/")[2])]
        if len(found) != 1:
            return ""
        ((name, code),) = found
        typed = name == "user_code" and page.rstrip("/") == self.verification_uri and _letters(code)
        return code if _FIXED.fullmatch(code) or typed else ""

    def read_fixed(self, text: str) -> ScanCode:
        """A fixed code alone, in either of its spellings. Raises `InvalidCode`."""
        if not _FIXED.fullmatch(text):
            raise InvalidCode(
                "this is not the form of a fixed code: it was cut short, or is something else"
            )
        code = bytes.fromhex(text) if len(text) == 32 else base64.urlsafe_b64decode(text)
        if text in (
            code.hex(),
            fixed_as_base64(code.hex()),
        ):  # the last letter has four spellings, and one is ours
            drawn, tag = code[:_RANDOM_BYTES], code[_RANDOM_BYTES:]
            for key in self._keys:
                if hmac.compare_digest(_tag(key, drawn), tag):
                    return ScanCode(_id_of_fixed(code), key)
        raise InvalidCode(
            "this code was not made by this application: it was altered, or its key has left secret_keys"
        )

    def _read(self, text: object, form: re.Pattern[str], purpose: str) -> tuple[Sequence[str], Key]:
        if (
            not isinstance(text, str)
            or len(text) > MAX_CODE_LENGTH
            or not (found := form.fullmatch(text))
        ):
            raise InvalidCode(
                f"this is not the form of a {purpose}: it was cut short, mistyped, or is something else"
            )
        *parts, signature = found.groups()
        for key in self._keys:
            if equal_in_constant_time(key.mac(purpose, *parts), signature):
                return parts, key
        raise InvalidCode(
            f"this {purpose} was not signed by this application: it was altered, "
            "or its key has left secret_keys, or its audience is another"
        )


def fixed_as_base64(code: str) -> str:
    """A fixed code, respelled from 32 hexadecimal digits to base64url with its padding."""
    return base64.urlsafe_b64encode(bytes.fromhex(code)).decode()


def new_login_id() -> str:
    """128 random bits, public and powerless."""
    return secrets.token_urlsafe(16)


def new_secret() -> str:
    """256 random bits for one browser."""
    return secrets.token_urlsafe(32)


def new_mark() -> str:
    """96 random bits that tell one call from another."""
    return secrets.token_urlsafe(12)


def _tag(key: Key, drawn: bytes) -> bytes:
    return base64_decode(key.mac("fixed", drawn.hex()))[: 16 - _RANDOM_BYTES]


def _id_of_fixed(code: bytes) -> str:
    return base64_encode(sha256(b"qrlogin/fixed/v1" + code).digest()[:16]).decode()


def _id_of_typed(key: Key, letters: str) -> str:
    return shortened(key.mac("typed", letters))


def _unwrapped(text: str) -> str:
    """An address without what a scanner put around it, its scheme and host spelled as a browser
    spells them. What is no address stays as it is: a code alone has one spelling.
    """
    address = _stripped(text)
    if _SYMBOLOGY.match(address):
        address = _stripped(address[3:])
    start = _SCHEME_AND_HOST.match(address)
    return start[0].lower() + address[start.end() :] if start else text


def _stripped(text: str) -> str:
    """Without the blanks, controls and invisible signs at both ends."""
    shown = [at for at, sign in enumerate(text) if unicodedata.category(sign)[0] not in "ZC"]
    return text[shown[0] : shown[-1] + 1] if shown else ""


def _letters(text: str) -> str:
    """The eight letters of a user_code, however somebody typed them; "" if it is none.

    Case, punctuation, spaces and what is invisible do not matter, nor does the width of the letters (an input method for
    Chinese), and what looks like one of ours is taken for it: RFC 8628 section 6.1.
    """
    if len(text) > _MAX_TYPED:
        return ""
    folded = unicodedata.normalize("NFKC", text).upper().translate(_LOOK_ALIKES)
    kept = "".join(c for c in folded if unicodedata.category(c)[0] not in "PZC")
    return kept if len(kept) == _USER_CODE_LENGTH and set(kept) <= set(USER_CODE_LETTERS) else ""
