"""The application's secret keys, and the MACs that only they can write.

Every code and every seal is a MAC by itsdangerous (HMAC-SHA-256) over length-prefixed parts, with a salt for each purpose and
audience. This module reads no clock and knows no code and no record.
"""

import base64
import hmac
import secrets
from hashlib import sha256
from typing import Final, NoReturn

from itsdangerous import HMACAlgorithm, Signer
from itsdangerous.encoding import base64_encode

from qrlogin.errors import Misconfigured

MIN_KEY_BYTES: Final = 32

NEW_KEY_HINT: Final = "Make one with: python -m qrlogin keygen"

_HMAC = HMACAlgorithm(sha256)


class Key:
    """One secret of the application, speaking for one audience. Its MACs are told apart by purpose."""

    __slots__ = ("_audience", "_derived", "_secret")

    def __init__(self, secret: bytes, audience: str) -> None:
        self._secret, self._audience = secret, audience
        self._derived: dict[str, bytes] = {}  # by purpose: deriving costs as much as signing

    def mac(self, purpose: str, *parts: str) -> str:
        """43 characters that only this key can write for this purpose and exactly these parts."""
        derived = self._derived.get(purpose)
        if derived is None:
            salt = f"qrlogin/{self._audience}/{purpose}/v1"
            signer = Signer(self._secret, salt=salt, key_derivation="hmac", digest_method=sha256)
            derived = self._derived[purpose] = signer.derive_key()
        encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
        prefixed = b"".join(b"%d:%b" % (len(part), part) for part in encoded)
        return base64_encode(_HMAC.get_signature(derived, prefixed)).decode("ascii")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Key is a secret and is not pickled")


def equal_in_constant_time(one: str, other: str) -> bool:
    """Whether two MACs are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(
        one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
    )


def new_key() -> str:
    """A secret key as `keygen` prints it. None begins with a dash: on a command line that would be an option."""
    while (key := secrets.token_urlsafe(MIN_KEY_BYTES)).startswith("-"):
        pass
    return key


def bytes_of_key(key: str | bytes) -> bytes:
    """A secret key as it is used. Raises `Misconfigured` for one that is spelled wrongly, too short or not random."""
    if isinstance(key, str):
        try:
            decoded = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
        except ValueError:
            decoded = b""
        if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != key.rstrip("="):
            raise Misconfigured(
                f"a secret key given as text must be spelled as keygen prints it. {NEW_KEY_HINT}"
            )
        key = decoded
    if not isinstance(key, bytes) or len(key) < MIN_KEY_BYTES:
        raise Misconfigured(f"a secret key needs at least {MIN_KEY_BYTES} bytes. {NEW_KEY_HINT}")
    if len(set(key)) < 8:
        raise Misconfigured(f"a secret key must be random. {NEW_KEY_HINT}")
    return key
