"""`demo --self-check`: plays a browser and two phones over HTTP, and prints a line for each check.

Browser and phone share only a picture: the browser fetches it, and a real decoder reads it for the
phone. This module knows an address and does not import the core, which it must not trust.
"""

import io
import re
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from html import unescape
from typing import Any, Final

from qrlogin.demo.client import Answer, Client, Unreachable
from qrlogin.demo.players import PLAYERS, Camera

NO_DECODER: Final = "The self-check needs a QR code decoder: pip install 'qrlogin[demo]'"
USER_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Browser:
    """A browser: a cookie jar, and the login that it began."""

    def __init__(self, origin: str) -> None:
        self._client = Client(origin, agent=USER_AGENT)
        self._begun: dict[str, Any] = {}
        self._op = secrets.token_urlsafe(16)

    @property
    def login_id(self) -> str:
        return str(self._begun.get("login_id", ""))

    @property
    def user_code(self) -> str:
        return str(self._begun.get("user_code", ""))

    def picture(self) -> bytes:
        """Begins a login and fetches its QR code."""
        self._begun = self._client.post("/qrlogin/begin", {}).json
        return self._client.get(f"/qrlogin/{self.login_id}/qr.png").body

    def status(self, login_id: str = "", *, wait: int = 0, after: int | None = None) -> Answer:
        cursor = "" if after is None else f"&after={after}"
        return self._client.get(f"/qrlogin/{login_id or self.login_id}?wait={wait}{cursor}")

    def cancel(self) -> Answer:
        return self._client.post(f"/qrlogin/{self.login_id}/cancel", {})

    def redeem(self, tag: str, *, op: str = "") -> Answer:
        return self._client.post(
            f"/qrlogin/{self.login_id}/redeem", {"acknowledged": tag, "op": op or self._op}
        )

    def home(self) -> str:
        """The text of the first page."""
        return unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", self._client.get("/").text)))


class Phone:
    """A phone with an account. It knows of a browser only what its camera reads."""

    def __init__(self, origin: str, name: str, camera: Camera) -> None:
        self._client = Client(origin, agent=f"the phone of {name}")
        unlocked = self._client.post("/demo/phone", {"name": name}).json
        self._client.bearer = str(unlocked.get("token", "not-a-token"))
        self._camera = camera
        self.reading: str = ""

    def look(self, picture: bytes) -> None:
        self.reading = self._camera(picture)

    def do(self, act: str) -> Answer:
        return self._client.post(f"/qrlogin/phone/{act}", {"code": self.reading})


class _SceneFailed(Exception):
    """A check failed. The checks after it in the same scene would prove nothing."""


class _Checks:
    """Prints a line for each check, and counts the failures."""

    def __init__(self) -> None:
        self.failed = 0

    def __call__(self, rule: str, passed: object, seen: object = "") -> None:
        """Prints `rule` with a mark. Raises _SceneFailed if the check failed.

        :param rule: what must be true, as a sentence
        :param passed: true if it is
        :param seen: what came instead, to be printed after a failure
        """
        mark, detail = ("✓", "") if passed else ("✗", f" (got: {_brief(seen)})")
        print(f"  {mark} {rule}{detail}", flush=True)
        if not passed:
            self.failed += 1
            raise _SceneFailed


Scene = Callable[[str, Camera, _Checks], None]


def run(origin: str, dialects: Iterable[str] = ()) -> bool:
    """Plays every scene against a demo. Returns True if every check passed.

    :param origin: the address of the demo
    :param dialects: the names of dialects whose clients are played, too
    """
    camera = _decoder()
    if camera is None:
        print(NO_DECODER)
        return False
    check = _Checks()
    scenes: list[Scene] = [_log_in, _deny, _release, _second_account, _cancel, _strangers, _typed]
    scenes += [partial(_speak, name, act) for name in dialects for act in ("confirm", "deny")]
    for scene in scenes:
        with suppress(_SceneFailed):
            try:
                scene(origin, camera, check)
            except Unreachable as error:
                check("the demo answers", False, error)
    failures = "1 check" if check.failed == 1 else f"{check.failed} checks"
    print(f"{failures} failed." if check.failed else "All checks passed.", flush=True)
    return not check.failed


def _log_in(origin: str, camera: Camera, check: _Checks) -> None:
    browser, alice = Browser(origin), Phone(origin, "alice", camera)
    picture = browser.picture()
    check("the browser shows a QR code", picture.startswith(b"\x89PNG"), picture)
    alice.look(picture)
    looked, seen = alice.do("look"), browser.status()
    check(
        "a phone reads it and sees which browser asks",
        looked.json.get("context", {}).get("browser"),
        looked,
    )
    check("that takes nothing", seen.json.get("state") == "pending", seen)
    alice.do("scan")
    seen = browser.status()
    by = seen.json.get("scanned_by", {})
    check(
        "the browser sees who scanned",
        seen.json.get("state") == "scanned" and by.get("shown_as") == "A•••e",
        seen,
    )
    early = browser.redeem(by.get("tag", ""))
    check("the browser cannot log in before Alice approves", early.status == 409, early)
    with ThreadPoolExecutor(1) as waiting:
        held = waiting.submit(browser.status, wait=10, after=seen.json.get("version"))
        approved = alice.do("confirm")
        check("Alice approves", approved.json.get("state") == "confirmed", approved)
        seen = held.result()
    check("the browser, which waits, is notified", seen.json.get("state") == "confirmed", seen)
    masked, by = by, seen.json.get("scanned_by", {})
    check("the browser asks with the whole name", by.get("name") == "Alice", seen)
    hasty = browser.redeem(masked.get("tag", ""))
    check(
        "what the browser was shown before the approval logs nobody in",
        hasty.error == "scanner_changed",
        hasty,
    )
    wrong = browser.redeem("x" * 43)
    check(
        "the browser cannot log in as an account that it was not shown",
        wrong.error == "scanner_changed",
        wrong,
    )
    done = browser.redeem(by.get("tag", ""))
    check("the browser logs in as Alice", done.json.get("state") == "redeemed", done)
    ended = alice.do("outcome")
    check("the phone hears how it ended", ended.json.get("state") == "redeemed", ended)
    again = browser.redeem(by.get("tag", ""))
    check(
        "a repeated request gets the same answer",
        again.body == done.body,
        again,
    )
    other = browser.redeem(by.get("tag", ""), op="another-click-entirely")
    check("a second click is rejected", other.error == "already_redeemed", other)
    home = browser.home()
    check("the page says: You are logged in as Alice", "You are logged in as Alice" in home, home)
    check("no other browser is logged in", "You are logged in" not in Browser(origin).home())


def _deny(origin: str, camera: Camera, check: _Checks) -> None:
    browser, alice = Browser(origin), Phone(origin, "alice", camera)
    alice.look(browser.picture())
    alice.do("scan")
    denied = alice.do("deny")
    seen = browser.status()
    check(
        "Alice denies, and the browser sees it",
        denied and seen.json.get("state") == "denied",
        seen,
    )
    late = alice.do("confirm")
    check("a denied login cannot be approved", late.error == "denied", late)


def _release(origin: str, camera: Camera, check: _Checks) -> None:
    browser, alice, bob = (
        Browser(origin),
        Phone(origin, "alice", camera),
        Phone(origin, "bob", camera),
    )
    picture = browser.picture()
    alice.look(picture)
    bob.look(picture)
    alice.do("scan")
    released = alice.do("release")
    check("Alice releases the login", released.json.get("state") == "pending", released)
    scanned = bob.do("scan")
    check("Bob can scan the same code", scanned.json.get("state") == "scanned", scanned)
    late = alice.do("confirm")
    check("Alice can no longer approve it", late.status == 404, late)
    bob.do("confirm")
    browser.redeem(browser.status().json.get("scanned_by", {}).get("tag", ""))
    home = browser.home()
    check("the page says: You are logged in as Bob", "You are logged in as Bob" in home, home)


def _second_account(origin: str, camera: Camera, check: _Checks) -> None:
    browser, alice, bob = (
        Browser(origin),
        Phone(origin, "alice", camera),
        Phone(origin, "bob", camera),
    )
    picture = browser.picture()
    alice.look(picture)
    bob.look(picture)
    alice.do("scan")
    second = bob.do("scan")
    check("Bob cannot scan while Alice decides", second.error == "already_scanned", second)
    theft = bob.do("confirm")
    check("Bob cannot approve in her place", theft.status == 404, theft)


def _cancel(origin: str, camera: Camera, check: _Checks) -> None:
    browser, alice = Browser(origin), Phone(origin, "alice", camera)
    alice.look(browser.picture())
    alice.do("scan")
    cancelled = browser.cancel()
    late = alice.do("confirm")
    check(
        "the browser cancels, and Alice sees it",
        cancelled and late.error == "cancelled",
        late,
    )


def _strangers(origin: str, camera: Camera, check: _Checks) -> None:
    browser, other, alice = Browser(origin), Browser(origin), Phone(origin, "alice", camera)
    picture = browser.picture()
    other.picture()
    answer = other.status(browser.login_id)
    check("another browser cannot read this login", answer.status == 404, answer)
    unsigned = Phone(origin, "unsigned", camera)
    unsigned.look(picture)
    refused = unsigned.do("scan")
    check("a phone without an account cannot scan", refused.status == 401, refused)
    alice.look(picture)
    page = Client(origin, agent="a link preview").get("/qr/" + alice.reading.rpartition("/")[2])
    seen = browser.status()
    check(
        "opening the code's address changes nothing",
        page and seen.json.get("state") == "pending",
        seen,
    )


def _typed(origin: str, camera: Camera, check: _Checks) -> None:
    browser, alice = Browser(origin), Phone(origin, "alice", camera)
    browser.picture()
    alice.reading = browser.user_code.lower().replace("-", " ")
    scanned = alice.do("scan")
    check("a code can be typed", scanned.json.get("login_id") == browser.login_id, scanned)
    alice.reading = "BCDF-GHJK"
    wrong = alice.do("scan")
    check("a mistyped code leads to no login", wrong.error == "unknown_login", wrong)


def _speak(name: str, act: str, origin: str, camera: Camera, check: _Checks) -> None:
    """Plays a client of a dialect until a phone has confirmed or denied its login.

    :param name: of the dialect
    :param act: "confirm" or "deny"
    :param origin: the address of the demo
    :param camera: reads QR codes
    :param check: prints the results
    """
    player, alice = PLAYERS[name](origin, camera), Phone(origin, "alice", camera)
    alice.reading = player.begin()
    scanned, seen = alice.do("scan"), player.look()
    if act == "confirm":
        check(f"{name}: a phone scans the code", scanned.json.get("state") == "scanned", scanned)
        check(
            f"{name}: after the scan the client sees {player.scanned}", seen == player.scanned, seen
        )
    alice.do(act)
    seen, end = player.look(), player.approved if act == "confirm" else player.denied
    check(
        f"{name}: after {'approval' if act == 'confirm' else 'denial'} the client sees {end}",
        seen == end,
        seen,
    )
    if act == "confirm":
        player.go_on()
        check(f"{name}: the client is logged in as Alice", player.who() == "Alice", player.who())


def _decoder() -> Camera | None:
    """A camera, which reads QR codes with zxing-cpp; None if it is not installed."""
    try:
        import zxingcpp
        from PIL import Image
    except ImportError:
        return None

    def read(picture: bytes) -> str:
        try:
            found = zxingcpp.read_barcodes(
                Image.open(io.BytesIO(picture)), formats=zxingcpp.barcode_formats_from_str("QRCode")
            )
        except OSError:
            return ""
        return found[0].text if len(found) == 1 else ""

    return read


def _brief(seen: object) -> str:
    text = (
        f"{seen.status} {seen.error or seen.json.get('state', '')}"
        if isinstance(seen, Answer)
        else repr(seen)
    )
    return text[:120]
