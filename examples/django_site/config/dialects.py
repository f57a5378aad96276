"""The other dialects at the root of the site, where their clients expect them.

Only urls.py needs this file, and only if QRLOGIN_DIALECTS names a dialect.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from qrlogin_django.registry import patterns

from qrlogin.core import Core
from qrlogin.wire import BrowserContext, CombinedDialect, Dialect
from qrlogin.wire.dialects import DIALECTS

# Any client is accepted here. Before you go public, accept only the clients that you know.
CLIENTS: Mapping[str, Mapping[str, Any]] = {
    "rfc8628": {"clients": lambda client: True},
    "wechat_open": {"clients": lambda *_: True, "redirect_uris": lambda *_: True},
}


def combined(core: Core) -> Dialect:
    describe = BrowserContext()
    return CombinedDialect(
        *(
            DIALECTS[name](core, describe=describe, **CLIENTS.get(name, {}))
            for name in settings.DIALECTS
        )
    )


urlpatterns = patterns(combined)
