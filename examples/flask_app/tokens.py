"""Who approved a login, and what a client of OAuth gets for it (RFC 6749 section 5.1).

Nothing here takes such tokens: issue those of your own service.
"""

import hmac
from collections.abc import Mapping

from flask import abort, current_app, jsonify, make_response
from models import Account, account_by_id

from qrlogin import Redeemed


def account_in(redeemed: Redeemed) -> Account:
    """Whose login it is. Answers with 403, as JSON, when the account was closed since it approved."""
    account = account_by_id(redeemed.subject)
    if account is None:
        abort(
            make_response(
                jsonify(
                    error="forbidden", error_description="The account was closed after it approved."
                ),
                403,
            )
        )
    return account


def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    """Made from the login, so a client that asks again, because an answer was lost, gets the same."""
    openid = account_in(redeemed).get_id()
    token = hmac.digest(
        current_app.config["SECRET_KEY"].encode(),
        f"access_token {redeemed.login_id}".encode(),
        "sha256",
    ).hex()
    return {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "openid": openid}
