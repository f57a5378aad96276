"""How the demo sets up each dialect beside the native one: with any client, and tokens of its own.

Each is mounted at the root, where its clients expect it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from qrlogin.core import Core
from qrlogin.wire import Dialect, Request, dialects
from qrlogin.wire.dialects.rfc8628 import GRANT_TYPE

USERINFO: Final = "demo/userinfo"
#: The path of RFC 8628's tokens, and the grant there that the demo itself answers.
TOKEN: Final = "token"  # noqa: S105 - a path
REFRESH: Final = "refresh_token"
#: The scope of clients that want a refresh token (OpenID Connect Core section 11).
OFFLINE_ACCESS: Final = "offline_access"

#: Describes the browser of a request, for the person on the phone.
Describe = Callable[[Request], Mapping[str, str]]
#: Makes a dialect from a core, a description of browsers, and a lifetime in seconds.
Factory = Callable[[Core, Describe, int | None], Dialect]

#: The scopes that clients ask for by themselves, in the words of the phone's page.
SCOPES: Final = {
    "openid": "Know your account",
    "profile": "Read your name",
    "email": "Read your email address",
    "films": "Watch films",
    OFFLINE_ACCESS: "Stay logged in",
}

#: The demo accepts any client.
_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "wechat_open": {"clients": lambda *_: True, "redirect_uris": lambda *_: True},
    "rfc8628": {"clients": lambda client: True, "scopes": SCOPES},
}


def _factory(name: str) -> Factory:
    def make(core: Core, describe: Describe, lifetime: int | None) -> Dialect:
        options: dict[str, Any] = {"describe": describe, **_OPTIONS.get(name, {})}
        if lifetime is not None:
            options["lifetime"] = lifetime
        if name == "rfc8628":
            options["metadata"] = {
                "userinfo_endpoint": f"{core.origin}/{USERINFO}",
                "grant_types_supported": [GRANT_TYPE, REFRESH],
            }
        return dialects.DIALECTS[name](core, **options)

    return make


#: Makes each dialect: from the core, a function that describes a browser, and a lifetime in seconds
#: (None: the dialect's own).
DIALECTS: Final[Mapping[str, Factory]] = {name: _factory(name) for name in dialects.DIALECTS}


def tokens(
    path: str, drawn: str, subject: str, seconds: int, refresh: str = ""
) -> Mapping[str, object]:
    """A token response: RFC 6749 section 5.1, and for WeChat's platform also the account.

    :param path: the path of the token endpoint
    :param drawn: the access token
    :param subject: the account
    :param seconds: how long the access token is valid
    :param refresh: the refresh token, if the client asked for one
    """
    standard = {"access_token": drawn, "token_type": "Bearer", "expires_in": seconds}
    if path != TOKEN:
        return {**standard, "openid": subject, "scope": "snsapi_login"}
    return {**standard, REFRESH: refresh} if refresh else standard
