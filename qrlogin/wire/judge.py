"""The judge: a function of the application that may refuse a phone, or ask for one more step.

    judge(scanned, person, phone_request) -> ALLOW | STEP_UP(url) | DENY(words)

An endpoint asks it when a phone looks at a login, scans it or confirms it. A kill switch, a risk
score, a comparison of the two devices, the rules of tenants and a step-up are all that function.
This module knows rulings and no endpoint.
"""

import logging
import re
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from inspect import iscoroutine
from pathlib import PurePath
from typing import Final, TypeAlias

from qrlogin.answers import Scanned
from qrlogin.arguments import is_async
from qrlogin.errors import (
    BadArgument,
    BadRequest,
    DeniedBySite,
    StepUpNeeded,
)
from qrlogin.names import clean
from qrlogin.table import State
from qrlogin.wire.dialect import Person
from qrlogin.wire.message import Request

WORDS_BYTES: Final = 600
URL_CHARACTERS: Final = 500

#: In these states there is something to decide. A call that repeats an approval changes nothing.
_OPEN: Final = (State.PENDING, State.SCANNED)
#: No sign that a browser would respell, drop or take for the end of a path.
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")
_REST: Final = re.compile(r"([?#][A-Za-z0-9._~!$&'()*+,;=:@%/?#-]*)?")
_HTTPS: Final = re.compile(r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")

log: Final = logging.getLogger("qrlogin")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a judge returns: `ALLOW`, a `STEP_UP` or a `DENY`."""

    def refusal(self) -> BadRequest | None:
        """The error that the phone gets; None: it goes on."""
        return None


ALLOW: Final = Ruling()
"""The phone goes on."""


@dataclass(frozen=True, slots=True)
class DENY(Ruling):
    """The phone is refused. It changes nothing: the browser goes on waiting.

    Raises `BadArgument` for words that are not a text.
    """

    words: str = field(default="", repr=False)
    """What the phone's page shows as the words of the site, in the person's language. One line of
    text: it is cleaned, and cut at 600 bytes. "": the page says only that the site refused."""

    def __post_init__(self) -> None:
        if not isinstance(self.words, str):
            raise BadArgument(f"the words of DENY must be text, not {type(self.words).__name__}")
        object.__setattr__(self, "words", clean(self.words, WORDS_BYTES))

    def refusal(self) -> BadRequest:
        """The error that the phone gets."""
        return DeniedBySite(self.words)


@dataclass(frozen=True, slots=True)
class STEP_UP(Ruling):
    """The person has to do something first, at an address of yours. The phone's page links to it,
    and asks again when the person comes back. The login waits, and its time goes on.

    Raises `BadArgument` for an address that is neither a path of this site nor https, and for one
    that browsers would respell.
    """

    url: str = field(repr=False)
    """A path of this site, such as "/unlock", or an https address. It must not hold a code."""

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not _is_safe(self.url):
            raise BadArgument(
                'STEP_UP takes a path of this site, such as "/unlock", or an https address, in '
                "ASCII as browsers spell it"
            )

    def refusal(self) -> BadRequest:
        """The error that the phone gets."""
        return StepUpNeeded(self.url)


Judge: TypeAlias = Callable[[Scanned, Person, Request], Ruling | Awaitable[Ruling]]
"""A judge: it gets what the phone is shown of the login, with the browser's frozen context; the
person on the phone; and the phone's request, whose `path` is look, scan or confirm."""

JUDGE_CALL: Final = "judge(scanned, person, phone_request)"


class JudgeCalls:
    """Asks a judge. What fails in it denies, and is logged once.

    :param judge: The application's function.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge, self._noted = judge, set[tuple[str, str]]()

    @property
    def is_async(self) -> bool:
        """Whether `call` returns what must be awaited. If not, the judge may block."""
        return is_async(self._judge)

    def concerns(self, looked: Scanned) -> bool:
        """Whether there is something to decide, after this look. A login that this phone has
        approved is not judged again, because a call for it only repeats the answer.
        """
        return looked.state in _OPEN

    def call(self, looked: Scanned, person: Person, request: Request) -> object:
        """What the judge returned, for `enforce`. It does not raise, so it may run in a thread,
        which could not pass a StopIteration to an event loop.

        :param looked: What a look of this phone has just found.
        :param person: Who is signed in on the phone.
        :param request: The phone's.
        """
        try:
            return self._judge(looked, person, request)
        except Exception as error:
            return self.failed(error)

    def enforce(self, returned: object) -> None:
        """Raise the refusal that this means: `DeniedBySite` or `StepUpNeeded`."""
        if iscoroutine(returned):
            returned.close()  # nothing awaits it
        if not isinstance(returned, Ruling):
            returned = self._deny(f"returned {type(returned).__name__}", "")
        if (error := returned.refusal()) is not None:
            raise error

    def failed(self, error: Exception) -> DENY:
        """The ruling in place of what a judge raised. The log has the type and the line, and not
        the message, which may hold a secret.
        """
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename != __file__] or frames
        place = f" at {PurePath(own[-1].filename).name}:{own[-1].lineno}"
        return self._deny(f"raised {type(error).__name__}", place)

    def _deny(self, what: str, place: str) -> DENY:
        if (what, place) not in self._noted:
            self._noted.add((what, place))
            log.error("judge %s%s, so the phone was refused; this is logged once", what, place)
        return DENY()


def _is_safe(url: str) -> bool:
    """Whether this is a path of this site or an https address, spelled as a browser spells it."""
    site = _HTTPS.match(url)
    below = url[site.end() :] if site else url
    path = _PATH.match(below)
    if len(url) > URL_CHARACTERS or path is None or not (site or path[0]):
        return False
    dots = {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}
    clear = dots.isdisjoint(path[0].lower().split("/"))
    return clear and _REST.fullmatch(below, path.end()) is not None
