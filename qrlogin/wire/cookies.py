"""The browser's secret in a cookie: one for each login, so that two tabs do not share one.

The configured origin decides what a cookie looks like, never a header. Over https its name begins
with `__Host-`: browsers reject such a cookie from other hosts, without Secure, or with another path
(RFC 6265bis section 4.1.3.2).
"""

import hashlib
import re
from itertools import islice
from typing import Final

from qrlogin.allowances import TURN_SECONDS
from qrlogin.answers import Begun, Landing
from qrlogin.core import Core
from qrlogin.errors import BadRequest
from qrlogin.wire.message import Cookie, Request

MAX_LOGINS: Final = 4
"""How many logins one browser may have at a time; a new one replaces the oldest."""

#: How many cookies with names of ours are read when a login begins, and so how many are deleted at
#: most. A browser has five of its own accord; another host of the domain can plant hundreds.
_MOST_READ: Final = 50

KNOWN_SECONDS: Final = 400 * 86_400
"""For how long a browser is known after a login. Browsers keep no cookie longer (RFC 6265bis
section 5.5)."""

_CURSOR_SUFFIX: Final = "-told"
#: How many digits of a login's digest are in the name of its cookie.
_NAME_DIGITS: Final = 8


class DeviceCookies:
    """Sets and finds the cookies of one application."""

    def __init__(self, core: Core) -> None:
        self._secure = core.origin.startswith("https:")
        self._prefix = "__Host-qrl-" if self._secure else "qrl-"
        self._names = re.compile(re.escape(self._prefix) + rf"[0-9a-f]{{{_NAME_DIGITS}}}")
        policy = core.policy
        #: Seconds for which the cookie is useful after its login could no longer be scanned.
        self._grace = policy.decide_window + policy.redeem_window + policy.replay_window

    def set_for(self, begun: Begun, request: Request) -> tuple[Cookie, ...]:
        """The cookie of a new login, and the deletion of the oldest beyond MAX_LOGINS.

        A value that the browser sent under the new login's name is always replaced.
        """
        name = self._name(begun.login_id)
        ours = (
            (key, value)
            for key, value in request.cookies()
            if self._names.fullmatch(key) and key != name
        )
        others = dict(islice(ours, _MOST_READ))
        newest_first = sorted(others, key=lambda key: _begun_at(others[key]), reverse=True)
        surplus = newest_first[MAX_LOGINS - 1 :]
        new = self._cookie(name, begun.device_code, begun.expires_in + self._grace)
        return (new, *(self._cookie(key, "", 0) for key in surplus))

    def remove(self, request: Request, login_id: str) -> tuple[Cookie, ...]:
        """The deletion of this login's cookies in this browser. It is for the answer to a redeem
        that a copy of the cookie could repeat. A browser whose answer is lost keeps its cookies,
        and can repeat it.
        """
        name = self._name(login_id)
        sent = {key for key, _ in request.cookies()}
        both = (name, name + _CURSOR_SUFFIX)
        return tuple(self._cookie(key, "", 0) for key in both if key in sent)

    def find(self, request: Request, login_id: str) -> str | None:
        """This browser's device_code for this login. Raises `BadRequest` when it sends two."""
        return self.find_by_digest(request, digest(login_id))

    def find_by_digest(self, request: Request, digest: str) -> str | None:
        """This browser's device_code for the login with this digest. Raises `BadRequest` for two.

        The name holds only a part of the digest, so the caller has to compare the rest.
        """
        name = self._prefix + digest[:_NAME_DIGITS]
        values = [value for key, value in request.cookies() if key == name]
        if len(values) > 1:
            raise BadRequest("there are two cookies for this login; one of them is not ours")
        return values[0] if values else None

    def cursor_cookie(self, login_id: str, version: int, seconds: int) -> Cookie:
        """A cookie that keeps the version which this browser has seen, for clients that do not.

        :param login_id: The login.
        :param version: What the browser has seen.
        :param seconds: How long the login lives.
        """
        return self._cookie(
            self._name(login_id) + _CURSOR_SUFFIX, str(version), seconds + self._grace
        )

    def cursor(self, request: Request, login_id: str) -> int | None:
        """The version that this browser has seen. None: it has seen only the beginning."""
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


class LandingCookie:
    """Lets a browser scan the login whose page it opened in time (`QRLogin.land`).

    A browser has one, for the page that it opened last. Nothing in it names a login.
    """

    def __init__(self, core: Core) -> None:
        self._secure = core.origin.startswith("https:")
        self._name = "__Host-qrl-landing" if self._secure else "qrl-landing"

    def make(self, landing: Landing) -> Cookie:
        """The cookie for the answer to whoever opened the page."""
        return Cookie(self._name, landing.token, landing.expires_in, secure=self._secure)

    def find(self, request: Request) -> str:
        """This browser's landing; "" if it has none, or several."""
        values = [value for key, value in request.cookies() if key == self._name]
        return values[0] if len(values) == 1 else ""


class TurnCookie:
    """Lets a browser that was refused begin a login before a flood of its network does
    (`TooManyBegins.turn`). Nothing in it names a browser or a login.
    """

    def __init__(self, core: Core) -> None:
        self._secure = core.origin.startswith("https:")
        self._name = "__Host-qrl-turn" if self._secure else "qrl-turn"

    def make(self, turn: str) -> Cookie:
        """The cookie for the answer that refuses the begin."""
        return Cookie(self._name, turn, TURN_SECONDS, secure=self._secure)

    def find(self, request: Request) -> str:
        """This browser's turn; "" if it has none, or several."""
        values = [value for key, value in request.cookies() if key == self._name]
        return values[0] if len(values) == 1 else ""


class KnownCookie:
    """Keeps to which accounts a browser was logged in (`known_browsers.py`). It names no account,
    and it logs no one in. A log-out leaves it in place, because the next login is what it is for.
    """

    def __init__(self, core: Core) -> None:
        self._secure = core.origin.startswith("https:")
        self._name = "__Host-qrl-known" if self._secure else "qrl-known"

    def make(self, known: str) -> tuple[Cookie, ...]:
        """The cookie for the answer to a redeem, with what `Core.known_after` returned; none for
        "".
        """
        return (Cookie(self._name, known, KNOWN_SECONDS, secure=self._secure),) if known else ()

    def find(self, request: Request) -> str:
        """What this browser has kept; "" if it has no such cookie, or several."""
        values = [value for key, value in request.cookies() if key == self._name]
        return values[0] if len(values) == 1 else ""


def digest(login_id: str) -> str:
    """32 hexadecimal digits that name a login where its id must not appear."""
    return hashlib.sha256(login_id.encode()).hexdigest()[:32]


def _begun_at(device_code: str) -> int:
    """When a login began, without verification: it only chooses which cookie to delete."""
    parts = device_code.split(".")
    return int(parts[2]) if len(parts) > 2 and re.fullmatch(r"[0-9]{1,15}", parts[2]) else 0
