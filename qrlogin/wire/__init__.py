"""HTTP without a framework: `Request` in, `Response` out. An adapter is two routes and a screen of code; see examples/."""

from qrlogin.wire.bilibili import Bilibili
from qrlogin.wire.context import BrowserContext
from qrlogin.wire.dialect import Dialect, Exchange, Person, Wait
from qrlogin.wire.endpoint import AsyncEndpoint, Endpoint
from qrlogin.wire.jd import JD
from qrlogin.wire.message import METHODS, Cookie, Request, Response
from qrlogin.wire.native import Native, describe_browser
from qrlogin.wire.places import Places
from qrlogin.wire.rfc8628 import Client, Rfc8628
from qrlogin.wire.routes import Route
from qrlogin.wire.several import Several
from qrlogin.wire.shutdown import drain_on_signals
from qrlogin.wire.streams import Streaming
from qrlogin.wire.taobao import Taobao
from qrlogin.wire.taobao_newlogin import TaobaoNewLogin
from qrlogin.wire.wechat import WeChat
from qrlogin.wire.wechat_open import WeChatOpen

__all__ = [
    "JD",
    "METHODS",
    "AsyncEndpoint",
    "Bilibili",
    "BrowserContext",
    "Client",
    "Cookie",
    "Dialect",
    "Endpoint",
    "Exchange",
    "Native",
    "Person",
    "Places",
    "Request",
    "Response",
    "Rfc8628",
    "Route",
    "Several",
    "Streaming",
    "Taobao",
    "TaobaoNewLogin",
    "Wait",
    "WeChat",
    "WeChatOpen",
    "describe_browser",
    "drain_on_signals",
]
