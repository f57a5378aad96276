"""What a client of OAuth gets (RFC 6749 section 5.1). Nothing here takes such tokens: issue those of your own service."""

from collections.abc import Mapping

from django.utils.crypto import salted_hmac
from qrlogin_django.auth import account

from qrlogin import Redeemed


def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    """Raises `PermissionDenied` when the account is gone or locked by now."""
    account(redeemed)
    # Made from the login, so a client that asks again, for an answer was lost, gets the same one.
    token = salted_hmac("config.tokens", redeemed.login_id, algorithm="sha256").hexdigest()
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 3600,
        "openid": redeemed.subject,
    }
