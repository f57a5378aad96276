"""HTTP without a framework: `Request` in, `Response` out.

An adapter for your framework is two routes and a screen of code; see examples/.
"""

from qrlogin.wire.access_log import HideCodes
from qrlogin.wire.context import BrowserContext, describe_browser
from qrlogin.wire.dialect import Dialect, Exchange, HeldStatus, Person
from qrlogin.wire.dialects.bilibili import Bilibili
from qrlogin.wire.dialects.combined import CombinedDialect
from qrlogin.wire.dialects.jd import JD
from qrlogin.wire.dialects.native import Native
from qrlogin.wire.dialects.rfc8628 import Client, Rfc8628
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen
from qrlogin.wire.endpoint import AsyncEndpoint, Endpoint
from qrlogin.wire.judge import ALLOW, DENY, STEP_UP, Judge, Ruling
from qrlogin.wire.message import METHODS, Cookie, Request, Response
from qrlogin.wire.routes import Route
from qrlogin.wire.shutdown import drain_on_signals
from qrlogin.wire.slots import WaitSlots
from qrlogin.wire.streams import Streaming

__all__ = [
    "ALLOW",
    "DENY",
    "JD",
    "METHODS",
    "STEP_UP",
    "AsyncEndpoint",
    "Bilibili",
    "BrowserContext",
    "Client",
    "CombinedDialect",
    "Cookie",
    "Dialect",
    "Endpoint",
    "Exchange",
    "HeldStatus",
    "HideCodes",
    "Judge",
    "Native",
    "Person",
    "Request",
    "Response",
    "Rfc8628",
    "Route",
    "Ruling",
    "Streaming",
    "Taobao",
    "TaobaoNewLogin",
    "WaitSlots",
    "WeChat",
    "WeChatOpen",
    "describe_browser",
    "drain_on_signals",
]
