"""The dialects that the demo can speak beside the native one, by their names on the command line.

Each is mounted at the root, where its clients expect it. Any client id is accepted: it is a demo.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from qrlogin.core import Core
from qrlogin.errors import Misconfigured
from qrlogin.wire import Dialect, Request
from qrlogin.wire.dialects.bilibili import Bilibili
from qrlogin.wire.dialects.jd import JD
from qrlogin.wire.dialects.public_id import PublicIdDialect
from qrlogin.wire.dialects.rfc8628 import Rfc8628, brief
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen

USERINFO: Final = "demo/userinfo"

#: Describes the browser of a request, for the person on the phone.
Describe = Callable[[Request], Mapping[str, str]]
#: Makes a dialect from a core, a description of browsers, and a lifetime in seconds.
Factory = Callable[[Core, Describe, int | None], Dialect]


def _with_public_id(kind: Callable[..., PublicIdDialect], **options: object) -> Factory:
    def make(core: Core, describe: Describe, lifetime: int | None) -> Dialect:
        given = options if lifetime is None else {**options, "lifetime": lifetime}
        return kind(core, describe=describe, **given)

    return make


def _rfc8628(core: Core, describe: Describe, lifetime: int | None) -> Dialect:
    make = Rfc8628 if lifetime is None else partial(Rfc8628, lifetime=lifetime)
    return make(
        core,
        clients=lambda client: True,
        describe=lambda request: brief(describe(request)),
        metadata={"userinfo_endpoint": f"{core.origin}/{USERINFO}"},
    )


#: A path belongs to the first dialect that handles it. The two of Taobao share one path, which an
#: ordinary camera opens.
DIALECTS: Final[Mapping[str, Factory]] = {
    "wechat": _with_public_id(WeChat),
    "wechat_open": _with_public_id(
        WeChatOpen, clients=lambda *_: True, redirect_uris=lambda *_: True
    ),
    "taobao": _with_public_id(Taobao),
    "newlogin": _with_public_id(TaobaoNewLogin),
    "rfc8628": _rfc8628,
    "bilibili": _with_public_id(Bilibili),
    "jd": _with_public_id(JD),
}


def tokens(path: str, drawn: str, subject: str, seconds: int) -> Mapping[str, object]:
    """The JSON of a token answer: RFC 6749 section 5.1, for WeChat's platform with the account.

    :param path: the path of the token request
    :param drawn: the access token
    :param subject: the account that was logged in
    :param seconds: the lifetime of the token
    """
    standard = {"access_token": drawn, "token_type": "Bearer", "expires_in": seconds}
    return standard if path == "token" else {**standard, "openid": subject, "scope": "snsapi_login"}


def chosen(text: str, where: str = "--dialects") -> tuple[str, ...]:
    """The names of dialects in an option or a setting: a comma-separated list, or `all`.

    Raises `Misconfigured`, with `where` in the message, for an unknown name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in (*DIALECTS, "all")]:
        raise Misconfigured(
            f"{where}: there is no {unknown[0]!r}; there are {', '.join(DIALECTS)}, and all"
        )
    return tuple(DIALECTS) if "all" in names else tuple(dict.fromkeys(names))
