"""What a check is, how it ends, and the scene in which it plays."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlsplit

from qrlogin.audit.devices import Browser, Phone
from qrlogin.audit.target import STATES, Login, Seen, Session, Target

T = TypeVar("T")


class Severity(StrEnum):
    """How bad it is if a check fails."""

    CRITICAL = "critical"
    """An attacker gets into the account of another person."""
    HIGH = "high"
    """An attacker gets in if a person makes a small mistake, or one approval logs in twice."""
    MEDIUM = "medium"
    """An attacker learns something, or a defence against deception is missing."""
    LOW = "low"
    """A further line of defence is missing."""


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    """The attack was made, and did not succeed."""
    FAILED = "failed"
    """The attack succeeded."""
    NOT_APPLICABLE = "not applicable"
    """The target has nothing to attack here, or does not say how."""
    ERROR = "error"
    """The check could not be carried out, so nothing is known."""


class Flaw(Exception):
    """The attack succeeded. The text says what was seen."""


class NotApplicable(Exception):
    """The check does not fit this target. The text says why."""


class Broken(Exception):
    """What an honest person does was refused, so the check proves nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One attack on a QR login."""

    name: str
    """Its name: short words joined by -."""
    severity: Severity
    """How bad it is if the check fails."""
    proves: str
    """The rule that holds if the check passes, as one sentence."""
    advice: str
    """What to do if it fails."""
    run: "Callable[[Scene], None]" = field(repr=False)
    """The attack. Raises `Flaw` if it succeeds, `NotApplicable` if the target has no such part."""
    study: str = ""
    """The flaw of the 2025 study that this check looks for: "F1" to "F6", or ""."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one check ended."""

    check: Check
    """The check."""
    outcome: Outcome
    """How it ended."""
    reason: str = ""
    """What was seen if it failed; why, if it does not apply or could not be carried out."""


def check(
    name: str, severity: Severity, proves: str, advice: str, study: str = ""
) -> Callable[[Callable[["Scene"], None]], Check]:
    """Makes a check of a function.

    :param name: short words joined by -
    :param severity: how bad it is if the check fails
    :param proves: the rule that holds if it passes
    :param advice: what to do if it fails
    :param study: the flaw of the 2025 study, "F1" to "F6"
    """

    def make(run: Callable[[Scene], None]) -> Check:
        return Check(name, severity, proves, advice, run, study)

    return make


class Scene:
    """The people of a check: browsers, phones, and what they do with the target."""

    def __init__(self, target: Target, phones: dict[str, Phone] | None = None) -> None:
        self.target = target
        self.alice: str = target.accounts[0]
        self.bob: str = target.accounts[1]
        self._phones: dict[str, Phone] = {} if phones is None else phones

    # Devices

    def browser(self, name: str = "a browser") -> Browser:
        """A browser without cookies."""
        return Browser(name, self.target.origin, self.target.transport)

    def phone(self, account: str) -> Phone:
        """A phone on which this account is signed in. Each account signs in once per audit."""
        if account not in self._phones:
            phone = Phone(f"the phone of {account}", self.target.origin, self.target.transport)
            phone.account = account
            if self.target.sign_in is not None:
                self.target.sign_in(phone)
            self._phones[account] = phone
        return self._phones[account].copy()

    def strangers(self) -> Iterator[Browser]:
        """The browsers of an attacker: one without cookies, and one that began a login itself."""
        yield self.browser("a browser without cookies")
        began = self.browser("a browser that began another login")
        self.begin(began)
        yield began

    # Steps

    def begin(self, browser: Browser) -> Login:
        """Begins a login."""
        return self.target.begin(browser)

    def poll(self, browser: Browser, login: Login) -> Seen:
        """Polls once. Raises `Broken` if the target's function returns an unknown word."""
        seen = self.target.poll(browser, login)
        if seen not in STATES:
            raise Broken(f"poll returned {seen!r}, which is not one of {', '.join(STATES)}")
        return seen

    def account(self, browser: Browser, login: Login) -> str:
        """Collects. Returns the account that is logged in; "" if there is none."""
        session = self.target.collect(browser, login)
        return session.account if session else ""

    def scanned(self, browser: Browser, account: str = "") -> tuple[Login, Phone]:
        """A login that a phone has scanned, and the phone."""
        login, phone = self.begin(browser), self.phone(account or self.alice)
        if not self.target.scan(phone, login.code):
            raise Broken("an honest phone could not scan a new login")
        return login, phone

    def approved(self, browser: Browser, account: str = "") -> tuple[Login, Phone]:
        """A login that a phone has scanned and confirmed, and the phone."""
        login, phone = self.scanned(browser, account)
        if not self.target.confirm(phone, login.code):
            raise Broken("an honest phone could not confirm the login that it scanned")
        return login, phone

    def whole(self, browser: Browser, account: str = "") -> tuple[Login, Phone]:
        """A login that the browser has collected, and the phone."""
        login, phone = self.approved(browser, account)
        expected = account or self.alice
        if (got := self.account(browser, login)) != expected:
            raise Broken(f"the browser of {expected} is logged in as {got or 'no account'}")
        return login, phone

    def take(self, step: Callable[[Phone, str], bool], phone: Phone, login: Login) -> None:
        """Lets an honest phone scan or confirm. Raises `Broken` if it is refused.

        :param step: the target's scan or confirm
        :param phone: the phone
        :param login: the login whose code it hands in
        """
        if not step(phone, login.code):
            raise Broken("an honest phone was refused")

    def collected(self, browser: Browser, login: Login) -> Session:
        """The session of a browser with an approved login. Raises `Broken` if it gets none."""
        session = self.target.collect(browser, login)
        if session is None:
            raise Broken("the browser could not collect its approved login")
        return session

    def sessions(self, collected: Iterable[tuple[Browser, Session | None]]) -> int:
        """How many sessions these browsers have. Equal tokens are one session.

        A server may end the earlier session when it answers a repeat. So a session counts while its
        browser is logged in, if the target says who is.
        """
        who = self.target.who
        made = [
            session.token
            for browser, session in collected
            if session and (who is None or who(browser))
        ]
        return made.count("") + len({*made} - {""})

    def lets_pass(self, seconds: int) -> None:
        """Lets time pass. Raises `NotApplicable` if the target does not say how."""
        if self.target.pass_time is None:
            raise NotApplicable("give pass_time, such as time.sleep, and lifetime")
        self.target.pass_time(seconds)


def needs_http(device: Browser | Phone) -> None:
    """Raises `NotApplicable` unless the device has sent a request."""
    if not device.exchanged:
        raise NotApplicable("the functions send no HTTP request through the devices of the audit")


def attempt(step: Callable[[], T]) -> T | None:
    """What a step with a changed request returns; None if the function cannot use the answer."""
    try:
        return step()
    except NotApplicable:
        raise
    except Exception:  # the functions are written for honest requests: an error is a refusal
        return None


def at_once(steps: list[Callable[[], T]]) -> list[T]:
    """Runs the steps in threads that start together. Returns their results, in order."""
    results: list[T | None] = [None] * len(steps)
    errors = list[BaseException]()
    barrier = threading.Barrier(len(steps))

    def run(number: int, step: Callable[[], T]) -> None:
        barrier.wait()
        try:
            results[number] = step()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=each) for each in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results  # type: ignore[return-value]  # each step has written its own


def guesses_at(login: Login) -> Iterator[Login]:
    """What an attacker sends as the id who knows only what is public."""
    parts = urlsplit(login.code)
    last = parts.path.rpartition("/")[2]
    values = [part.partition("=")[2] for part in parts.query.split("&")]
    for known in dict.fromkeys((login.id, login.code, last, *values)):
        if known:
            yield Login(login.code, known)


MAX_LIFETIME: Final = 600
"""The most seconds that a login may take (NIST SP 800-63B-4 section 3.1.3.2)."""
