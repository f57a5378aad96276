"""The other dialects, at the root of the site, where their clients expect them. Nothing else here needs this file.

They are those of `qrlogin demo`, which take any client: say in `DIALECTS` which ones you know before you go public.
"""

from django.conf import settings
from qrlogin_django.registry import patterns

from qrlogin.core import Core
from qrlogin.demo.dialects import DIALECTS
from qrlogin.wire import BrowserContext, CombinedDialect, Dialect


def several(core: Core) -> Dialect:
    return CombinedDialect(
        *(DIALECTS[name](core, BrowserContext(), None) for name in settings.DIALECTS)
    )


urlpatterns = patterns(several)
