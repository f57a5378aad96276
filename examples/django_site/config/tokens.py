"""The tokens for an OAuth client (RFC 6749 section 5.1).

Nothing in this site accepts such tokens. Issue those of your own service.
"""

from collections.abc import Mapping

from django.utils.crypto import salted_hmac
from qrlogin_django.auth import account

from qrlogin import Redeemed


def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    """Raises `PermissionDenied` if the account was deleted or locked after the approval."""
    account(redeemed)
    # Derived from the login, so that a client whose answer was lost gets the same token again.
    token = salted_hmac("config.tokens", redeemed.login_id, algorithm="sha256").hexdigest()
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 3600,
        "openid": redeemed.subject,
    }
