"""The dialects by name: what a setting or a command line calls them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from qrlogin.errors import Misconfigured
from qrlogin.wire.dialect import Dialect
from qrlogin.wire.dialects.bilibili import Bilibili
from qrlogin.wire.dialects.jd import JD
from qrlogin.wire.dialects.rfc8628 import Rfc8628
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen

DIALECTS: Final[Mapping[str, Callable[..., Dialect]]] = {
    "wechat": WeChat,
    "wechat_open": WeChatOpen,
    "taobao": Taobao,
    "newlogin": TaobaoNewLogin,
    "rfc8628": Rfc8628,
    "bilibili": Bilibili,
    "jd": JD,
}
"""The class of each dialect beside `Native`. Mounted together at the root of a site, they are asked
in this order whether a path is theirs: Taobao's two share the path that a camera opens."""


def dialect_names(text: str, setting: str) -> tuple[str, ...]:
    """The names in a setting, separated by commas, each once; `all` stands for every dialect.

    Raises `Misconfigured` for an unknown name.

    :param text: what the setting says; empty for no dialect
    :param setting: its name, for the error message
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in (*DIALECTS, "all")]:
        raise Misconfigured(
            f"{setting}: there is no {unknown[0]!r}; there are {', '.join(DIALECTS)}, and all"
        )
    return tuple(DIALECTS) if "all" in names else tuple(dict.fromkeys(names))


def client_options(
    names: Sequence[str], text: str, setting: str, *, local: bool
) -> Mapping[str, Mapping[str, Any]]:
    """The options that say which clients the dialects accept, by the name of the dialect.

    A site for this machine alone accepts any client, so that you can try one: of RFC 8628 only
    while the setting names none. Raises `Misconfigured` if a public site names no client and RFC
    8628 needs them.

    :param names: the dialects that are mounted
    :param text: what a setting says: public clients, separated by commas, each with the name that
        the phone shows, such as `living-room-tv=Television app, cli=Command line`
    :param setting: the name of the setting, for the error message
    :param local: whether only this machine reaches the site
    """
    clients = dict[str, str]()
    for entry in filter(None, (each.strip() for each in text.split(","))):
        client_id, equals, name = (part.strip() for part in entry.partition("="))
        if not (client_id and equals and name):
            raise Misconfigured(f"{setting}: write client_id=Name of the client, not {entry!r}")
        clients[client_id] = name
    any_client: dict[str, Any] = {"clients": lambda *_: True, "redirect_uris": lambda *_: True}
    wechat_open = {**(any_client if local else {}), "names": clients.get}
    if not clients and local:
        return {"rfc8628": {"clients": lambda client: True}, "wechat_open": wechat_open}
    if not clients and "rfc8628" in names:
        raise Misconfigured(
            f"{setting}: list the clients of RFC 8628, such as living-room-tv=Television app: "
            "on a public site, any program could begin logins as a client of yours"
        )
    return {
        "rfc8628": {
            "clients": lambda client: client.secret is None and client.client_id in clients,
            "names": clients.get,
        },
        "wechat_open": wechat_open,
    }
