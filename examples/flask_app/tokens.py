"""What a client of OAuth gets (RFC 6749 section 5.1). Nothing here takes such tokens: issue those of your own service."""

import hmac
from collections.abc import Mapping

from flask import abort, current_app
from models import account_by_id

from qrlogin import Redeemed


def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    if account_by_id(redeemed.subject) is None:  # closed since it approved
        abort(403)
    # Made from the login, so a client that asks again, for an answer was lost, gets the same one.
    key = str(current_app.secret_key).encode()
    token = hmac.digest(key, f"access_token {redeemed.login_id}".encode(), "sha256").hex()
    return {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "openid": redeemed.subject}
