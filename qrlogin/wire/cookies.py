"""The browser's secret in its cookie: one cookie for each login, so that two tabs do not take each other's.

What a cookie looks like is decided from the configured origin, never from a header. Over https its name begins with `__Host-`,
which makes browsers refuse it from other hosts, without Secure, or with another path (RFC 6265bis section 4.1.3.2).
"""

import hashlib
import re
from typing import Final

from qrlogin.answers import Begun
from qrlogin.core import Core
from qrlogin.errors import BadRequest
from qrlogin.wire.message import Cookie, Request

MAX_LOGINS: Final = 4  # of one browser at a time; the oldest make room
_CURSOR_SUFFIX: Final = "-told"
_NAME_DIGITS: Final = 8  # digits of a login's digest in the name of its cookie


class DeviceCookies:
    """Sets and finds the cookies of one application."""

    def __init__(self, core: Core) -> None:
        self._secure = core.origin.startswith("https:")
        self._prefix = "__Host-qrl-" if self._secure else "qrl-"
        self._form = re.compile(re.escape(self._prefix) + rf"[0-9a-f]{{{_NAME_DIGITS}}}")
        self._beyond = core.policy.redeem_window + core.policy.replay_window

    def set_for(self, begun: Begun, request: Request) -> tuple[Cookie, ...]:
        """The new login's cookie, and the end of those that are too many. A cookie that was there before is never kept for it."""
        name = self._name(begun.login_id)
        others = {
            key: value
            for key, value in request.cookies()
            if self._form.fullmatch(key) and key != name
        }
        surplus = sorted(others, key=lambda key: _begun_at(others[key]), reverse=True)[
            MAX_LOGINS - 1 :
        ]
        new = self._cookie(name, begun.device_code, begun.expires_in + self._beyond)
        return (new, *(self._cookie(key, "", 0) for key in surplus))

    def find(self, request: Request, login_id: str) -> str | None:
        """The device_code that this browser has for this login. Raises `BadRequest` when it sends two."""
        return self.find_by_digest(request, digest(login_id))

    def find_by_digest(self, request: Request, digest: str) -> str | None:
        """The device_code under the name that this digest leads to; whether the whole of it fits is the caller's to see."""
        name = self._prefix + digest[:_NAME_DIGITS]
        values = [value for key, value in request.cookies() if key == name]
        if len(values) > 1:
            raise BadRequest("there are two cookies for this login; one of them is not ours")
        return values[0] if values else None

    def cursor_cookie(self, login_id: str, version: int, seconds: int) -> Cookie:
        """Remembers beside the login's cookie what this browser was told last: its cursor, where a client keeps none."""
        return self._cookie(
            self._name(login_id) + _CURSOR_SUFFIX, str(version), seconds + self._beyond
        )

    def cursor(self, request: Request, login_id: str) -> int | None:
        """The version that this browser was told last; None: nothing but the beginning."""
        values = [
            value
            for key, value in request.cookies()
            if key == self._name(login_id) + _CURSOR_SUFFIX
        ]
        return (
            int(values[0]) if len(values) == 1 and re.fullmatch(r"[0-9]{1,15}", values[0]) else None
        )

    def _name(self, login_id: str) -> str:
        return self._prefix + digest(login_id)[:_NAME_DIGITS]

    def _cookie(self, name: str, value: str, max_age: int) -> Cookie:
        return Cookie(name, value, max_age, secure=self._secure)


def digest(login_id: str) -> str:
    """32 hexadecimal digits that stand for a login where its id must not be. The cookie's name begins with the first of them."""
    return hashlib.sha256(login_id.encode()).hexdigest()[:32]


def _begun_at(device_code: str) -> int:
    """When a login of this browser began, for choosing which cookie to drop; unverified, because nothing else hangs on it."""
    parts = device_code.split(".")
    return int(parts[2]) if len(parts) > 2 and re.fullmatch(r"[0-9]{1,15}", parts[2]) else 0
