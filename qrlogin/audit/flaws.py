"""The six flaws of the 2025 study, made strict.

Zhang et al., "Demystifying the (In)Security of QR Code-based Login in Real-world Deployments",
USENIX Security 2025: 47 of 109 sites had at least one of them. Here an id is also refused to a
browser that began a login of its own, and a repeated answer must not make a second session.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from qrlogin.audit.check import (
    Flaw,
    NotApplicable,
    Scene,
    Severity,
    attempt,
    check,
    guesses_at,
    needs_http,
)
from qrlogin.audit.devices import Answer, Browser, Phone, Tamper
from qrlogin.audit.tamper import (
    Place,
    begun_with,
    chain,
    with_fields,
    with_other_text,
    with_spoiled_credentials,
    without_credentials,
)

#: Fewer bits can be guessed (ASVS 5.0: 128 for a session; a login lives for minutes).
MIN_BITS: Final = 64
#: A typed code is 8 letters of 20 (RFC 8628 section 6.1). Then guesses must be counted.
MIN_TYPED_BITS: Final = 28
#: How many small numbers are hashed, to find ids that are hashes of a counter.
_COUNTED: Final = 2000
#: The largest step of a counter, or of a clock between two requests.
_SMALL_STEP: Final = 1_000_000

#: Under which names systems send the id of a login.
_ID_FIELDS: Final = (
    *("id", "uuid", "token", "code", "key", "state", "ticket", "login_id", "session_id"),
    *("qr", "qr_id", "qrcode", "qrcode_id", "qrcode_key", "lgToken", "device_code"),
)
#: Under which names systems send the account.
_ACCOUNT_FIELDS: Final = (
    *("user", "user_id", "userId", "uid", "username", "account", "subject", "sub"),
    *("phone", "mobile", "email", "openid"),
)


# F1


@check(
    "stranger-collects",
    Severity.CRITICAL,
    "A browser that did not begin a login cannot be logged in by it, whatever public id it sends.",
    "Give the browser a secret when it begins (an HttpOnly cookie), store its hash with the login, "
    "and compare it in the step that hands the session out.",
    study="F1",
)
def stranger_collects(scene: Scene) -> None:
    login, _ = scene.approved(scene.browser())
    for stranger in scene.strangers():
        for known in guesses_at(login):
            if account := scene.account(stranger, known):
                raise Flaw(f"{stranger.name} collected the login of {account}")


@check(
    "stranger-polls",
    Severity.MEDIUM,
    "A browser that did not begin a login does not learn its state.",
    "Ask for the browser's secret in every poll, and answer as for an id that does not exist.",
    study="F1",
)
def stranger_polls(scene: Scene) -> None:
    browser = scene.browser()
    strangers = list(scene.strangers())
    login, phone = scene.begin(browser), scene.phone(scene.alice)
    for step in (None, scene.target.scan, scene.target.confirm):
        if step:
            scene.take(step, phone, login)
        for stranger in strangers:
            seen = scene.poll(stranger, login)
            if seen in ("pending", "scanned", "confirmed"):
                raise Flaw(f'{stranger.name} read "{seen}" of a login that it did not begin')


# F2


@check(
    "reuse",
    Severity.HIGH,
    "One approval makes one session: the same login logs nothing in again, here or elsewhere.",
    "Go from confirmed to used in one atomic step, and let only the caller that made this step "
    "start a session. Forget the code and the id after it.",
    study="F2",
)
def reuse(scene: Scene) -> None:
    browser = scene.browser()
    login, _ = scene.approved(browser)
    twin = browser.copy()
    first = scene.collected(browser, login)
    copies = [twin, browser.copy()]
    again = [(each, scene.target.collect(each, login)) for each in copies]
    if scene.sessions([(browser, first), *again]) > 1:
        raise Flaw("the browser collected one login twice, and has two sessions")
    for stranger in scene.strangers():
        for known in guesses_at(login):
            if account := scene.account(stranger, known):
                raise Flaw(f"{stranger.name} collected the used login of {account}")


@check(
    "used-code",
    Severity.HIGH,
    "The code of a login that was collected cannot be approved again.",
    "Keep the used login until its code has expired, and refuse every scan and confirm of it.",
    study="F2",
)
def used_code(scene: Scene) -> None:
    browser = scene.browser()
    login, phone = scene.approved(browser)
    twin = browser.copy()
    first = scene.collected(browser, login)
    for other in (scene.phone(scene.bob), phone):
        accepted = scene.target.scan(other, login.code), scene.target.confirm(other, login.code)
        repeated = twin.copy()
        second = scene.target.collect(repeated, login)
        if scene.sessions([(browser, first), (repeated, second)]) > 1:
            raise Flaw(f"{other.name} approved a used code, and a second session was started")
        if other is not phone and all(accepted):
            raise Flaw(f"{other.name} scanned and confirmed a code that was used before")


# F3


@check(
    "predictable",
    Severity.CRITICAL,
    "Ids and codes are long and random: none follows from the others.",
    "Draw at least 128 bits from the system's random numbers (secrets.token_urlsafe), not from a "
    "counter, the time, or a UUID of version 1.",
    study="F3",
)
def predictable(scene: Scene) -> None:
    browser = scene.browser()
    logins = [scene.begin(browser) for _ in range(scene.target.samples)]
    codes = [login.code for login in logins]
    for what, drawn in (("ids", [login.id for login in logins]), ("codes", codes)):
        least = MIN_TYPED_BITS if scene.target.typed and drawn == codes else MIN_BITS
        if pattern := _pattern(drawn):
            raise Flaw(f"{what} can be predicted: {pattern}")
        if (bits := entropy(drawn)) < least:
            raise Flaw(f"{what} have about {bits:.0f} random bits, and {least} are needed")


def entropy(drawn: Sequence[str]) -> float:
    """About how many bits differ at random between these texts, from the letters at each place.

    It overestimates what is random: it finds short and structured ids, and proves nothing good.
    """
    places = Counter(map(len, drawn)).most_common(1)[0][0]
    bits = 0.0
    for place in range(places):
        letters = Counter(text[place] for text in drawn if place < len(text))
        total = letters.total()
        bits -= sum(count / total * math.log2(count / total) for count in letters.values())
    return bits


def _pattern(drawn: Sequence[str]) -> str:
    if len({*drawn}) < len(drawn):
        return "one was drawn twice"
    if any(text.rpartition("/")[2].lower() in _counted() for text in drawn):
        return "one is the hash of a small number"
    # The part that differs, as a number: a counter or a clock rises in small steps.
    start = len(_common_start(drawn))
    numbers = [_number(text[start:]) for text in drawn]
    known = [number for number in numbers if number is not None]
    if len(known) == len(drawn):
        steps = [later - former for former, later in pairwise(known)]
        if all(0 <= step <= _SMALL_STEP for step in steps) or len({*steps}) == 1:
            return "each is a little more than the one before"
    return ""


def _common_start(drawn: Sequence[str]) -> str:
    low, high = min(drawn), max(drawn)
    same = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    while same and low[same - 1].isalnum():
        same -= 1  # all letters of a number belong to it
    return low[:same]


def _number(text: str) -> int | None:
    plain = text.replace("-", "")
    if re.fullmatch("[0-9]{1,40}", plain):
        return int(plain)
    return int(plain, 16) if re.fullmatch("[0-9a-fA-F]{1,40}", plain) else None


@cache
def _counted() -> frozenset[str]:
    """Hashes of small numbers, in hexadecimal digits."""
    kinds = (hashlib.md5, hashlib.sha1, hashlib.sha256)
    return frozenset(
        kind(str(number).encode(), usedforsecurity=False).hexdigest()
        for number in range(_COUNTED)
        for kind in kinds
    )


# F4


@check(
    "chosen-id",
    Severity.CRITICAL,
    "The server draws the id of a login: no browser can choose it.",
    "Refuse unknown fields when a login begins, and never take an id, a code or a cookie over.",
    study="F4",
)
def chosen_id(scene: Scene) -> None:
    known = scene.browser("an attacker's browser")
    first = scene.begin(known)
    scene.poll(known, first)
    needs_http(known)
    chosen = _like(first.id)
    names = {*_ID_FIELDS, *_fields_with(known, first.id)}
    for place, begun in begun_with(scene, sorted(names), chosen):
        if chosen in begun.id or chosen in begun.code:
            raise Flaw(f"a browser chose the id of the login that it began, in the {place}")


def _like(text: str) -> str:
    """A text that looks like this one and is another."""
    return "".join(
        str((int(letter) + 3) % 10)
        if letter.isdigit()
        else chr((ord(letter.lower()) - ord("a") + 1) % 6 + ord("a"))
        if letter.isascii() and letter.isalpha()
        else letter
        for letter in text.rpartition("/")[2] or text
    )


def _fields_with(browser: Browser, value: str) -> set[str]:
    """The names under which a browser received or sent this value."""
    found = {name for name, held in browser.cookies.items() if value in held}
    for sent, answer in browser.exchanged:
        pairs = [*answer.json.items(), *parse_qsl(urlsplit(sent.url).query)]
        found |= {name for name, held in pairs if held == value}
    return found


# F5


@check(
    "claimed-account",
    Severity.CRITICAL,
    "The account comes from the phone's session: a phone cannot name another one.",
    "Take the account from the session or the token of the phone's request, never from its fields.",
    study="F5",
)
def claimed_account(scene: Scene) -> None:
    private = scene.target.private
    facts = private.get(scene.alice, ()), private.get(scene.bob, ())
    # The functions may name the account themselves: then the name of the victim takes its place.
    swap = chain(
        with_other_text(scene.bob, scene.alice),
        *(with_other_text(own, other) for other, own in zip(*facts, strict=False)),
    )
    _claim(scene, swap)
    places: tuple[Place, ...] = ("query", "body")
    for claim in (scene.alice, *facts[0]):
        for place in places:
            # One by one for a server that refuses fields that it does not know.
            singles = ({name: claim} for name in _ACCOUNT_FIELDS)
            for fields in (dict.fromkeys(_ACCOUNT_FIELDS, claim), *singles):
                if _claim(scene, chain(swap, with_fields(fields, place))) and len(fields) > 1:
                    break


def _claim(scene: Scene, change: Tamper) -> bool:
    """Whether the server accepts the scan of an attacker's phone whose requests are changed.

    Raises `Flaw` if it logs the victim in.
    """
    browser, phone = scene.browser(), scene.phone(scene.bob)
    login = scene.begin(browser)
    phone.tamper = change
    accepted = attempt(partial(scene.target.scan, phone, login.code))
    attempt(partial(scene.target.confirm, phone, login.code))
    needs_http(phone)
    if scene.account(browser, login) == scene.alice:
        raise Flaw(f"a phone of {scene.bob} logged a browser in as {scene.alice}")
    return bool(accepted)


def _with_changed_credentials(scene: Scene, change: Tamper) -> str:
    """The account that a phone logs in whose requests are changed; "" if it is refused."""
    target = scene.target
    browser, phone = scene.browser(), scene.phone(scene.alice)
    login = scene.begin(browser)
    phone.tamper = change
    attempt(partial(target.scan, phone, login.code))
    attempt(partial(target.confirm, phone, login.code))
    needs_http(phone)
    if got := scene.account(browser, login):
        return got
    # The check of the credential may be missing in the second step only.
    login, honest = scene.scanned(browser)
    honest.tamper = change
    attempt(partial(target.confirm, honest, login.code))
    return scene.account(browser, login)


@check(
    "no-credential",
    Severity.CRITICAL,
    "A phone that is not signed in can approve nothing.",
    "Ask for the phone's session or token in scan and in confirm.",
    study="F5",
)
def no_credential(scene: Scene) -> None:
    if account := _with_changed_credentials(scene, without_credentials):
        raise Flaw(f"a phone without cookies and without a token logged {account} in")


@check(
    "forged-credential",
    Severity.CRITICAL,
    "A phone with a credential that the server did not issue can approve nothing.",
    "Look the phone's token up, or verify its signature, in scan and in confirm.",
    study="F5",
)
def forged_credential(scene: Scene) -> None:
    def spoiled(value: str) -> str:
        return "".join(
            chr((ord(letter) - 96) % 26 + 97)
            if letter.islower() and letter.isascii()
            else chr((ord(letter) - 64) % 26 + 65)
            if letter.isupper() and letter.isascii()
            else str((int(letter) + 1) % 10)
            if letter.isdigit()
            else letter
            for letter in value
        )

    if account := _with_changed_credentials(scene, with_spoiled_credentials(spoiled)):
        raise Flaw(f"a phone with a changed token logged {account} in")


# F6


@check(
    "private-data",
    Severity.MEDIUM,
    "Before it is logged in, a browser learns nothing private of the account.",
    "Answer polls with the state alone, and at most with a name that the person wants to show.",
    study="F6",
)
def private_data(scene: Scene) -> None:
    facts = scene.target.private.get(scene.alice, ())
    if not facts:
        raise NotApplicable(f"give private={{{scene.alice!r}: [...]}}: an id, an address, …")
    browser, stranger = scene.browser(), scene.browser("another browser")
    login, phone = scene.begin(browser), scene.phone(scene.alice)
    for step in (scene.target.scan, scene.target.confirm):
        scene.take(step, phone, login)
        for device in (browser, stranger):
            scene.poll(device, login)
            needs_http(device)
            for _, answer in device.exchanged:
                _no_fact(device, answer, facts)


def _no_fact(device: Browser | Phone, answer: Answer, facts: Sequence[str]) -> None:
    sent = " ".join((answer.text, str(answer.json), *(value for _, value in answer.headers)))
    for number, fact in enumerate(facts, 1):
        if fact in sent:
            raise Flaw(f"{device.name} received private fact {number} before it was logged in")
