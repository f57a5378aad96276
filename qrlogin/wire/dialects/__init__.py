"""The dialects, each a way to spell requests and answers over HTTP, and what a new one is built
from.

`Native` is this library's own. `PublicIdDialect` is the base of the dialects whose clients know a
login by a public id in a URL: docs/wire/new-dialect.md writes one.
"""

from qrlogin.wire.dialect import Dialect, Exchange, HeldStatus, Person
from qrlogin.wire.dialects.bilibili import Bilibili
from qrlogin.wire.dialects.combined import CombinedDialect
from qrlogin.wire.dialects.jd import JD
from qrlogin.wire.dialects.jsonp import CALLBACK, JSONP_ANSWERS, read_callback
from qrlogin.wire.dialects.names import DIALECTS, client_options, dialect_names
from qrlogin.wire.dialects.native import Native
from qrlogin.wire.dialects.public_id import (
    Handler,
    MountOptions,
    PublicIdDialect,
    query_parameter,
    required_value,
)
from qrlogin.wire.dialects.public_id_routes import (
    COOKIE_PROOF,
    JSON_ANSWER,
    PICTURE_ANSWER,
    REDEEM_ERRORS,
    REDIRECT_ANSWER,
    SCRIPT_ANSWER,
    begin_route,
    picture_route,
    public_id_field,
    scan_route,
)
from qrlogin.wire.dialects.rfc8628 import Client, Rfc8628
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen
from qrlogin.wire.routes import Answer, Field, Route
from qrlogin.wire.validation import read_some

__all__ = [
    "DIALECTS",
    "client_options",
    "dialect_names",
    "CALLBACK",
    "COOKIE_PROOF",
    "JD",
    "JSONP_ANSWERS",
    "JSON_ANSWER",
    "PICTURE_ANSWER",
    "REDEEM_ERRORS",
    "REDIRECT_ANSWER",
    "SCRIPT_ANSWER",
    "Answer",
    "Bilibili",
    "Client",
    "CombinedDialect",
    "Dialect",
    "Exchange",
    "Field",
    "Handler",
    "HeldStatus",
    "MountOptions",
    "Native",
    "Person",
    "PublicIdDialect",
    "Rfc8628",
    "Route",
    "StateMap",
    "Taobao",
    "TaobaoNewLogin",
    "WeChat",
    "WeChatOpen",
    "begin_route",
    "picture_route",
    "public_id_field",
    "query_parameter",
    "read_callback",
    "read_some",
    "required_value",
    "scan_route",
]
