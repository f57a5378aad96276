"""qrlogin in Flask. The work is in the library, where an upgrade mends it.

`PhoneLogin` is the extension, `close_at_exit` answers waiting browsers when the server stops, and
`set_landing_cookies` is for the page that a phone's camera opens.
"""

from qrlogin.contrib.flask import (
    PhoneLogin,
    close_at_exit,
    finish_requests_at_exit,
    qrlogin_blueprint,
    read_request,
    set_landing_cookies,
)

__all__ = [
    "PhoneLogin",
    "close_at_exit",
    "finish_requests_at_exit",
    "qrlogin_blueprint",
    "read_request",
    "set_landing_cookies",
]
