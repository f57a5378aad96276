"""The dialects by name: what a setting or a command line calls them."""

from collections.abc import Callable, Mapping
from typing import Final

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
