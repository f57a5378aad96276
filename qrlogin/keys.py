"""The application's secret keys, and the MACs that only they can compute.

Every code and every seal is a MAC (HMAC-SHA-256) over length-prefixed parts, with a key of its own
for each purpose and audience, which itsdangerous derives. This module reads no clock and knows no
code and no record.
"""

import base64
import hmac
import re
import secrets
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NoReturn

from qrlogin.errors import Misconfigured

MIN_KEY_BYTES: Final = 32
_MIN_DIFFERENT_BYTES: Final = 8  # fewer show that a key was typed and not drawn

_NEW_KEY_HINT: Final = "Make one with: python -m qrlogin keygen"
#: The keys that the documentation prints. Everyone has them.
_PUBLISHED_KEYS: Final = ("b2b8m3wqmF8dVuG2m3Wc0oUJxjz4Iu2mbXcTzIYkF9s",)
_AUDIENCE: Final = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,200}")

_TO_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


class Key:
    """One secret key for one audience. It computes a different MAC for each purpose."""

    __slots__ = ("_audience", "_keyed", "_secret")

    def __init__(self, secret: bytes, audience: str) -> None:
        self._secret, self._audience = secret, audience
        # By purpose, an HMAC that has read its key and nothing else: every MAC begins with a copy.
        # To derive a key and to read it costs more than the rest.
        self._keyed: dict[str, hmac.HMAC] = {}

    def mac(self, purpose: str, *parts: str) -> str:
        """43 characters that only this key can compute for this purpose and exactly these parts."""
        return base64_encode(self.mac_bytes(purpose, *parts)).decode("ascii")

    def mac_bytes(self, purpose: str, *parts: str) -> bytes:
        """The 32 bytes that `mac` spells."""
        keyed = self._keyed.get(purpose)
        computed = (keyed or self._keyed_for(purpose)).copy()
        computed.update(_prefixed(parts))
        return computed.digest()

    def _keyed_for(self, purpose: str) -> hmac.HMAC:
        from itsdangerous import Signer  # when it is used: it loads much that is not

        salt = f"qrlogin/{self._audience}/{purpose}/v1"
        signer = Signer(self._secret, salt=salt, key_derivation="hmac", digest_method=sha256)
        keyed = self._keyed[purpose] = hmac.new(signer.derive_key(), digestmod=sha256)
        return keyed

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Key is a secret and cannot be pickled")


def base64_encode(raw: bytes) -> bytes:
    """`raw` as base64url without padding (RFC 4648 section 5)."""
    return b2a_base64(raw, newline=False).translate(_TO_URL_SAFE, b"=")


def base64_decode(text: str) -> bytes:
    """What `base64_encode` encoded. Raises `ValueError` for other text."""
    encoded = text.encode("ascii")
    raw = a2b_base64(encoded.translate(_FROM_URL_SAFE) + b"=" * (-len(encoded) % 4))
    if base64_encode(raw) != encoded:  # several texts are read as the same bytes
        raise ValueError("this is not base64url as it is encoded here")
    return raw


def _prefixed(parts: Sequence[str]) -> bytes:
    """These parts, each after its length in bytes, so that no other parts are spelled alike."""
    text = "".join([f"{len(part)}:{part}" for part in parts])
    if text.isascii():  # nearly always: then each character is one byte
        return text.encode("ascii")
    encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
    return b"".join([b"%d:%b" % (len(part), part) for part in encoded])


def key_ring(secret_keys: Sequence[str | bytes], audience: str) -> tuple[Key, ...]:
    """The keys of one application, the signing one first.

    Raises `Misconfigured` if there is no key, if one is weak, or for an audience that is not valid.
    """
    if not _AUDIENCE.fullmatch(audience):
        raise Misconfigured("audience must be 1 to 200 letters, digits or ._:- such as a host name")
    if isinstance(secret_keys, str | bytes) or not secret_keys:
        raise Misconfigured(
            f"secret_keys must be a list of keys, the signing one first. {_NEW_KEY_HINT}"
        )
    return tuple(Key(bytes_of_key(key), audience) for key in secret_keys)


def bytes_of_key(key: str | bytes) -> bytes:
    """Decode a secret key.

    Raises `Misconfigured` if the text is not spelled as keygen prints it, or if the key is too
    short or not random.
    """
    if isinstance(key, str):
        try:
            decoded = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
        except ValueError:
            decoded = b""
        if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != key.rstrip("="):
            raise Misconfigured(
                f"a secret key given as text must be spelled as keygen prints it. {_NEW_KEY_HINT}"
            )
        key = decoded
    if not key:
        raise Misconfigured(
            "a secret key is empty: the setting or the environment variable that should contain "
            f"it is missing. {_NEW_KEY_HINT}"
        )
    if not isinstance(key, bytes) or len(key) < MIN_KEY_BYTES:
        raise Misconfigured(f"a secret key needs at least {MIN_KEY_BYTES} bytes. {_NEW_KEY_HINT}")
    if len(set(key)) < _MIN_DIFFERENT_BYTES:
        raise Misconfigured(f"a secret key must be random. {_NEW_KEY_HINT}")
    return key


def refuse_published_keys(secret_keys: Sequence[str | bytes]) -> None:
    """Raise `Misconfigured` if one of these keys is printed in the documentation."""
    published = [bytes_of_key(key) for key in _PUBLISHED_KEYS]
    if any(bytes_of_key(key) in published for key in secret_keys):
        raise Misconfigured(
            "this secret key is printed in qrlogin's documentation, so everyone has it: it works "
            f"on this machine only. {_NEW_KEY_HINT}"
        )


def new_key() -> str:
    """A new secret key, as `keygen` prints it.

    It never begins with a dash, which would make it an option on a command line.
    """
    while (key := secrets.token_urlsafe(MIN_KEY_BYTES)).startswith("-"):
        pass
    return key


def equal_in_constant_time(one: str, other: str) -> bool:
    """Whether two MACs are equal. The time that it takes does not show where they differ."""
    if one.isascii() and other.isascii():
        return hmac.compare_digest(one, other)
    return hmac.compare_digest(
        one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
    )
