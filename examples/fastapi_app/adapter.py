"""qrlogin in FastAPI. The work is in the library, where an upgrade mends it.

`qrlogin_router` makes the routes of a dialect, `serving` is the lifespan, and `set_landing_cookies`
is for the page that a phone's camera opens.
"""

from qrlogin.contrib.fastapi import qrlogin_router, serving, set_landing_cookies

__all__ = ["qrlogin_router", "serving", "set_landing_cookies"]
