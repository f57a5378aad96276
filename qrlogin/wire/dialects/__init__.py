"""The dialects: how the protocol is spelled over HTTP, one module for each, and what a new one is built from.

`native` is this library's own. `public_id` is the base of the dialects whose clients know a login by a public id in a URL.
"""

from qrlogin.wire.dialect import Dialect, Exchange, HeldStatus, Person
from qrlogin.wire.dialects.bilibili import Bilibili
from qrlogin.wire.dialects.combined import CombinedDialect
from qrlogin.wire.dialects.jd import JD
from qrlogin.wire.dialects.names import DIALECTS, dialect_names
from qrlogin.wire.dialects.native import Native, describe_browser
from qrlogin.wire.dialects.public_id import PublicIdDialect
from qrlogin.wire.dialects.rfc8628 import Client, Rfc8628
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen

__all__ = [
    "DIALECTS",
    "JD",
    "Bilibili",
    "Client",
    "CombinedDialect",
    "Dialect",
    "Exchange",
    "HeldStatus",
    "Native",
    "Person",
    "PublicIdDialect",
    "Rfc8628",
    "StateMap",
    "Taobao",
    "TaobaoNewLogin",
    "WeChat",
    "WeChatOpen",
    "describe_browser",
    "dialect_names",
]
