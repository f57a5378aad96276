"""The account that approved a login, and the tokens for an OAuth client (RFC 6749 section 5.1).

Nothing in this site accepts such tokens. Issue those of your own service.
"""

import hmac
from collections.abc import Mapping
from typing import NoReturn

from flask import abort, current_app, jsonify, make_response
from models import Account, account_by_id

from qrlogin import Redeemed


def account_in(redeemed: Redeemed) -> Account:
    """The account that approved. If it was closed or locked since, answers with 403, as JSON."""
    account = account_by_id(redeemed.subject)
    if account is None:
        refuse("The account was closed or locked after it approved.")
    return account


def refuse(why: str) -> NoReturn:
    """Answers with 403, as JSON."""
    abort(make_response(jsonify(error="forbidden", error_description=why), 403))


def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    """Derived from the login, so that a client whose answer was lost gets the same token again."""
    openid = account_in(redeemed).get_id()
    key = current_app.config["SECRET_KEY"].encode()
    token = hmac.digest(key, f"access_token {redeemed.login_id}".encode(), "sha256").hex()
    return {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "openid": openid}
