"""What a record holds in place of secrets, and the seals that a writer of the store cannot forge.

Each is a MAC of the application's key. `begin_seal` covers who began, `scanner_seal` who scanned, `approval_seal` who approved.
"""

from itsdangerous.encoding import base64_decode, base64_encode

from qrlogin.keys import Key


def device_digest(key: Key, login_id: str, secret: str) -> str:
    return key.mac("device", login_id, secret)


def redeem_mark(key: Key, login_id: str, op: str) -> str:
    """What the store keeps of a redeem's `op`, to know the same call again."""
    return key.mac("redeem", login_id, op)


def claim(key: Key, login_id: str, subject: str, phone: str) -> str:
    """Who holds a scanned login. It does not depend on the code's bytes, so a rotated code of the same login still works."""
    return key.mac("claim", login_id, subject, phone)


def only_for(key: Key, login_id: str, subject: str) -> str:
    return key.mac("for", login_id, subject)


def ticket(key: Key, login_id: str, scanner: str) -> str:
    """What a redirect carries to the page that redeems: it ties the two together, and opens nothing without the cookie."""
    return base64_decode(key.mac("ticket", login_id, scanner))[:16].hex()


def guesser(key: Key, subject: str) -> str:
    """Where the store counts how often this account typed codes that lead nowhere. Spelled like a login_id."""
    return shortened(key.mac("guesses", subject))


def begin_seal(
    key: Key, login_id: str, digest: str, context: str, needs: str, only_for: str
) -> str:
    return key.mac("begin", login_id, digest, context, needs, only_for)


def name_seal(key: Key, named_at: str, login_id: str) -> str:
    """Seals which login the letters of a user_code lead to."""
    return key.mac("name", named_at, login_id)


def scanner_seal(key: Key, login_id: str, claim: str, who: str) -> str:
    """Seals who scanned. It is also the tag that the browser sends back to say whom it was shown."""
    return key.mac("scan", login_id, claim, who)


def approval_seal(key: Key, login_id: str, claim: str, subject: str, met: str, facts: str) -> str:
    return key.mac("confirm", login_id, claim, subject, met, facts)


def shortened(mac: str) -> str:
    """16 bytes of a MAC."""
    return base64_encode(base64_decode(mac)[:16]).decode()
