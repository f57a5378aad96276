"""The dialects that the demo speaks beside the native one, by the names that its command line knows.

Each is mounted at the root, where its clients expect it. Who asks does not matter here: any client id will do.
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
from qrlogin.wire.dialects.rfc8628 import Rfc8628, shorten_context
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen

USERINFO: Final = "demo/userinfo"

Describe = Callable[[Request], Mapping[str, str]]
Factory = Callable[[Core, Describe, int | None], Dialect]


def _fixed(kind: Callable[..., PublicIdDialect], **options: object) -> Factory:
    def make(core: Core, describe: Describe, lifetime: int | None) -> Dialect:
        shorter = {} if lifetime is None else {"lifetime": lifetime}
        return kind(core, describe=describe, **shorter, **options)

    return make


def _rfc8628(core: Core, describe: Describe, lifetime: int | None) -> Dialect:
    make = Rfc8628 if lifetime is None else partial(Rfc8628, lifetime=lifetime)
    return make(
        core,
        clients=lambda client: True,
        describe=lambda request: shorten_context(describe(request)),
        metadata={"userinfo_endpoint": f"{core.origin}/{USERINFO}"},
    )


#: In this order they are asked whether a path is theirs; the two of Taobao share the one that an ordinary camera opens.
DIALECTS: Final[Mapping[str, Factory]] = {
    "wechat": _fixed(WeChat),
    "wechat_open": _fixed(WeChatOpen, clients=lambda *_: True, redirect_uris=lambda *_: True),
    "taobao": _fixed(Taobao),
    "newlogin": _fixed(TaobaoNewLogin),
    "rfc8628": _rfc8628,
    "bilibili": _fixed(Bilibili),
    "jd": _fixed(JD),
}


def tokens(path: str, drawn: str, subject: str, seconds: int) -> Mapping[str, object]:
    """What one of these answers with: RFC 6749 section 5.1, and for WeChat's platform who it was."""
    standard = {"access_token": drawn, "token_type": "Bearer", "expires_in": seconds}
    return standard if path == "token" else {**standard, "openid": subject, "scope": "snsapi_login"}


def chosen(text: str, where: str = "--dialects") -> tuple[str, ...]:
    """The names of dialects that stand in an option or a setting: several with commas between them, or `all`.

    Raises `Misconfigured` for another name, and says `where` it stands.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in (*DIALECTS, "all")]:
        raise Misconfigured(
            f"{where}: there is no {unknown[0]!r}; there are {', '.join(DIALECTS)}, and all"
        )
    return tuple(DIALECTS) if "all" in names else tuple(dict.fromkeys(names))
