"""The other dialects at the root of the site, where their clients expect them.

Only urls.py needs this file, and only if QRLOGIN_DIALECTS names a dialect.
"""

from typing import Any

from django.conf import settings
from qrlogin_django.registry import patterns

from qrlogin.core import Core
from qrlogin.wire import BrowserContext, CombinedDialect, Dialect
from qrlogin.wire.dialects import DIALECTS

# What an OAuth client may ask for, in the words that the phone shows.
SCOPES = {"openid": "", "profile": "Read your name", "offline_access": "Stay logged in"}


def combined(core: Core) -> Dialect:
    describe = BrowserContext(proxies=settings.QRLOGIN["PROXIES"])
    options: dict[str, dict[str, Any]] = {"rfc8628": {"scopes": SCOPES}}
    for name, clients in settings.CLIENTS.items():
        options.setdefault(name, {}).update(clients)
    return CombinedDialect(
        *(
            DIALECTS[name](core, describe=describe, **options.get(name, {}))
            for name in settings.DIALECTS
        )
    )


urlpatterns = patterns(combined)
