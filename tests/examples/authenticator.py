"""A passkey in software: what a browser and its authenticator answer (WebAuthn level 2).

`Authenticator` holds the keys. A page of some origin asks for them, and a browser answers only for
the relying parties of that origin (section 5.1.4.1, step 8).
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class NotAllowed(Exception):
    """The browser refuses what the page asks for."""


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """The passkeys of one person, who always unlocks them."""

    keys: dict[bytes, tuple[str, ec.EllipticCurvePrivateKey]] = field(default_factory=dict)
    flags: int = PRESENT | VERIFIED
    obeys: bool = True
    """Whether the browser refuses the relying party of another origin, as all browsers do."""

    def create(self, origin: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """What `navigator.credentials.create()` answers on a page of this origin."""
        rp_id = self._relying_party(origin, options["rp"]["id"])
        name, key = secrets.token_bytes(16), ec.generate_private_key(ec.SECP256R1())
        self.keys[name] = (rp_id, key)
        point = key.public_key().public_numbers()
        cose = {
            1: 2,
            3: -7,
            -1: 1,
            -2: point.x.to_bytes(32, "big"),
            -3: point.y.to_bytes(32, "big"),
        }
        about = bytes(16) + len(name).to_bytes(2, "big") + name + cbor2.dumps(cose)
        data = self._data(rp_id, self.flags | ATTESTED) + about
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", origin, options)
        return self._credential(name, client, attestationObject=encode(attestation))

    def get(self, origin: str, options: Mapping[str, Any], *, rp_id: str = "") -> dict[str, Any]:
        """What `navigator.credentials.get()` answers on a page of this origin.

        :param origin: the page's.
        :param options: what the page got from a server.
        :param rp_id: the relying party that the page asks for, in place of the server's.
        """
        rp_id = self._relying_party(origin, rp_id or options["rpId"])
        listed = [decode(each["id"]) for each in options.get("allowCredentials", ())]
        for name, (owner, key) in self.keys.items():
            if (owner == rp_id or not self.obeys) and (not listed or name in listed):
                data = self._data(rp_id, self.flags)
                client = self._client("webauthn.get", origin, options)
                signed = data + hashlib.sha256(client).digest()
                signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
                answer = {"authenticatorData": encode(data), "signature": encode(signature)}
                return self._credential(name, client, **answer)
        raise NotAllowed(f"there is no passkey for {rp_id}")

    def _relying_party(self, origin: str, rp_id: str) -> str:
        host = urlsplit(origin).hostname or ""
        if self.obeys and host != rp_id and not host.endswith(f".{rp_id}"):
            raise NotAllowed(f"{origin} is no origin of {rp_id}")
        return rp_id

    def _data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + bytes(4)

    def _client(self, kind: str, origin: str, options: Mapping[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": origin}
        return json.dumps({**said, "crossOrigin": False}).encode()

    def _credential(self, name: bytes, client: bytes, **response: str) -> dict[str, Any]:
        return {
            "id": encode(name),
            "rawId": encode(name),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {"clientDataJSON": encode(client), **response},
        }
