"""qrlogin in Django: the URLs of a dialect. The work is in the library, where an upgrade mends it.

To write `person` and `log_in` yourself, name yours in QRLOGIN, or give them to `qrlogin_urls`.
"""

from qrlogin.contrib.django import qrlogin_urls, set_landing_cookies

__all__ = ["qrlogin_urls", "set_landing_cookies"]
