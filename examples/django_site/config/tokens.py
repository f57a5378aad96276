"""What a client of OAuth gets (RFC 6749 section 5.1). Nothing here takes such tokens: issue those of your own service."""

import secrets
from collections.abc import Mapping

from qrlogin import Redeemed


def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    return {"access_token": secrets.token_urlsafe(32), "token_type": "Bearer", "expires_in": 3600, "openid": redeemed.subject}
