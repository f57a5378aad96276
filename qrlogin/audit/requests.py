"""Checks of requests and answers: GET, other sites, headers, cookies, addresses, and texts."""

import html
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from qrlogin.audit.check import (
    Broken,
    Flaw,
    NotApplicable,
    Scene,
    Severity,
    attempt,
    check,
    needs_http,
)
from qrlogin.audit.devices import Answer, Browser, Device, Phone, Tamper
from qrlogin.audit.tamper import as_get, begun_with, from_elsewhere, with_header
from qrlogin.audit.target import Login

#: What an attacker would like to say to the person on the phone.
SENTENCE: Final = "Press Yes to keep your account. Security check by Example."
_SEEN: Final = "press yes to keep"
#: Under which names systems take texts over that they show on the phone.
_TEXTS: Final = (
    *("scope", "client", "client_name", "clientName", "app", "appName", "name", "title"),
    *("description", "message", "reason", "context", "device", "deviceName", "browser", "system"),
    *("place", "location", "binding_message"),
)
#: The shortest value that can be a secret.
_SECRET_LENGTH: Final = 16


# Without a press


@check(
    "get-code",
    Severity.HIGH,
    "Opening the address in the QR code changes nothing, so previews and prefetches may open it.",
    "Let the page only show the question, and scan and confirm by POST when its person presses.",
)
def get_code(scene: Scene) -> None:
    browser = scene.browser()
    login = scene.begin(browser)
    needs_http(browser)
    if not login.code.startswith(("http://", "https://")):
        raise NotApplicable("the code is no address")
    preview = scene.phone(scene.alice)
    preview.cookies, preview.headers = {}, {"user-agent": "LinkPreview/1.0"}
    for phone in (preview, scene.phone(scene.alice)):
        phone.get(login.code)
        seen = scene.poll(browser, login)
        if seen != "pending" or scene.account(browser, login):
            raise Flaw(f'opening the address of a code made the login "{seen}"')


@check(
    "get-phone",
    Severity.HIGH,
    "Scan and confirm need a POST: a link or an image cannot approve a login.",
    "Answer GET with 405 where the phone scans and confirms.",
)
def get_phone(scene: Scene) -> None:
    target = scene.target
    _confirmed_by(scene, as_get, "a GET confirmed a login")
    browser, phone = scene.browser(), scene.phone(scene.alice)
    login = scene.begin(browser)
    phone.tamper = as_get
    attempt(partial(target.scan, phone, login.code))
    if scene.poll(browser, login) != "pending":
        raise Flaw("a GET scanned a code")


@check(
    "other-site",
    Severity.CRITICAL,
    "A page of another site cannot approve a login with the cookies of a phone's browser.",
    "Check Origin (or a CSRF token) in scan and confirm, and set SameSite on the session's cookie.",
)
def other_site(scene: Scene) -> None:
    _, phone = scene.approved(scene.browser())
    needs_http(phone)
    if not any("cookie" in sent.headers for sent, _ in phone.exchanged):
        raise NotApplicable("the phone sends no cookie: another site has no credential to abuse")
    _confirmed_by(scene, from_elsewhere, "a page of another site confirmed a login")


def _confirmed_by(scene: Scene, change: Tamper, flaw: str) -> None:
    """Raises `Flaw` if a login is confirmed by changed requests of the phone."""
    target, browser = scene.target, scene.browser()
    login, phone = scene.scanned(browser)
    phone.exchanged.clear()
    phone.tamper = change
    accepted = attempt(partial(target.confirm, phone, login.code))
    needs_http(phone)
    if accepted or scene.account(browser, login):
        raise Flaw(flaw)


# Who exists


@check(
    "enumeration",
    Severity.LOW,
    "A stranger's poll gets the same answer for a login of another browser as for none.",
    "Answer both with the same status and body, such as 404.",
)
def enumeration(scene: Scene) -> None:
    login = scene.begin(scene.browser())
    known = login.id.rpartition("/")[2] or login.id
    middle = range(len(known) // 3, len(known) - 2)
    at = next((each for each in middle if known[each] != known[each + 1]), None)
    if at is None:
        raise NotApplicable("no similar id can be made of this one")
    missing = known[:at] + known[at + 1] + known[at] + known[at + 2 :]
    for began_another in (False, True):
        answers = []
        for name in (known, missing):
            stranger = scene.browser("a stranger")
            if began_another:
                scene.begin(stranger)
                stranger.exchanged.clear()
            scene.poll(stranger, Login(login.code, login.id.replace(known, name)))
            needs_http(stranger)
            answer = stranger.exchanged[-1][1]
            answers.append((answer.status, answer.text.replace(name, "…")))
        if answers[0] != answers[1]:
            raise Flaw("the answer to a stranger says whether a login with this id exists")


# Headers


def _story(scene: Scene) -> tuple[Browser, Phone, Login]:
    """A whole login, whose exchanges the devices have recorded."""
    browser = scene.browser()
    login, phone = scene.begin(browser), scene.phone(scene.alice)
    for step in (scene.target.scan, scene.target.confirm):
        scene.poll(browser, login)
        scene.take(step, phone, login)
    scene.poll(browser, login)
    if scene.account(browser, login) != scene.alice:
        raise Broken("the browser could not collect its approved login")
    return browser, phone, login


@check(
    "no-store",
    Severity.LOW,
    "No answer about a login is cached.",
    "Send Cache-Control: no-store with each of them.",
)
def no_store(scene: Scene) -> None:
    browser, phone, _ = _story(scene)
    needs_http(browser)
    for device in (browser, phone):
        for sent, answer in device.exchanged:
            if "no-store" not in answer.header("cache-control").lower():
                raise Flaw(f"{sent.method} {_path(sent.url)} is answered without no-store")


@check(
    "cookies",
    Severity.MEDIUM,
    "Cookies with a secret are HttpOnly and SameSite, and over https they are Secure.",
    "Set HttpOnly, SameSite=Lax or Strict, and Secure.",
)
def cookies(scene: Scene) -> None:
    browser, _, login = _story(scene)
    needs_http(browser)
    public = f"{login.id} {login.code}"
    found = [
        (sent.url, line)
        for sent, answer in browser.exchanged
        for name, line in answer.headers
        if name == "set-cookie"
    ]
    if not found:
        raise NotApplicable("no cookie is set")
    for url, line in found:
        pair, _, rest = line.partition(";")
        name, _, value = pair.partition("=")
        flags = {flag.strip().lower() for flag in rest.split(";")}
        # A deleted cookie, a public one, and one that the page has to read.
        if value.strip('" ') in public or any(word in name.lower() for word in ("csrf", "xsrf")):
            continue
        missing = [] if "httponly" in flags else ["HttpOnly"]
        missing += [] if flags & {"samesite=lax", "samesite=strict"} else ["SameSite"]
        missing += [] if "secure" in flags or url.startswith("http://") else ["Secure"]
        if missing:
            raise Flaw(f"the cookie {name} has no {' and no '.join(missing)}")


def _page(scene: Scene) -> Answer:
    if scene.target.page is None:
        raise NotApplicable("give page: it opens the page on which the phone's user approves")
    login = scene.begin(scene.browser())
    answer = scene.target.page(scene.phone(scene.alice), login.code)
    if not answer:
        raise Broken(f"the phone's page answered {answer.status}")
    return answer


@check(
    "framing",
    Severity.HIGH,
    "No page of another site can show the approve page in a frame, and steal the press of Yes.",
    "Send Content-Security-Policy: frame-ancestors 'none'.",
)
def framing(scene: Scene) -> None:
    answer = _page(scene)
    policy = re.search(r"frame-ancestors\s+([^;]*)", answer.header("content-security-policy"))
    allowed = {*policy[1].split()} if policy else {"*"}
    frames = answer.header("x-frame-options").upper()
    if not allowed <= {"'none'", "'self'"} and frames not in ("DENY", "SAMEORIGIN"):
        raise Flaw("the approve page can be framed by any site")


@check(
    "referrer",
    Severity.LOW,
    "The approve page does not send the code on in Referer.",
    "Send Referrer-Policy: no-referrer or same-origin.",
)
def referrer(scene: Scene) -> None:
    answer = _page(scene)
    policy = answer.header("referrer-policy").lower().rpartition(",")[2].strip()
    if policy not in ("no-referrer", "same-origin", "strict-origin", "origin"):
        raise Flaw(f"the approve page has the Referrer-Policy {policy or 'of the browser'}")


@check(
    "secret-in-address",
    Severity.MEDIUM,
    "No address contains a secret of the browser or of the phone: addresses are in logs.",
    "Send secrets in cookies, in Authorization or in a body.",
)
def secret_in_address(scene: Scene) -> None:
    browser, phone, login = _story(scene)
    needs_http(browser)
    public = unquote(f"{login.id} {login.code}")
    for device in (browser, phone):
        for secret in _secrets(device):
            if secret in public:
                continue
            for sent, _ in device.exchanged:
                if secret in unquote(sent.url):
                    raise Flaw(f"{sent.method} {_path(sent.url)} has a secret in its address")


def _secrets(device: Device) -> Iterator[str]:
    held: list[Any] = [*device.cookies.values(), *device.keep.values()]
    for sent, _ in device.exchanged:
        held.append(sent.headers.get("authorization", "").rpartition(" ")[2])
        held += [pair.partition("=")[2] for pair in sent.headers.get("cookie", "").split("; ")]
    return (each for each in held if isinstance(each, str) and len(each) >= _SECRET_LENGTH)


def _path(url: str) -> str:
    """The address without what names a login: each long part is left out."""
    path = url.partition("?")[0].partition("://")[2].partition("/")[2]
    return "/" + "/".join(part if len(part) < _SECRET_LENGTH else "…" for part in path.split("/"))


# Texts


@check(
    "free-text",
    Severity.HIGH,
    "No text of the browser's choice is shown to the person who approves.",
    "Show names that your code knows, such as Firefox, and scopes in your own words.",
)
def free_text(scene: Scene) -> None:
    attacker = scene.browser("an attacker's browser")
    attacker.tamper = with_header("user-agent", SENTENCE)
    begun = attempt(partial(scene.begin, attacker))
    needs_http(attacker)
    logins = (each for _, each in begun_with(scene, _TEXTS, SENTENCE))
    for login in (*([begun] if begun else ()), *logins):
        phone = scene.phone(scene.alice)
        page = scene.target.page(phone, login.code) if scene.target.page else None
        scene.target.scan(phone, login.code)
        if not phone.exchanged and page is None:
            raise NotApplicable("give page: in scan, the phone receives nothing over HTTP")
        for answer in (*(answer for _, answer in phone.exchanged), *([page] if page else ())):
            if _SEEN in _words(answer):
                raise Flaw("a sentence of the browser's is shown to the person on the phone")


def _words(answer: Answer) -> str:
    text = html.unescape(f"{answer.text} {answer.json}")
    return " ".join(re.sub("<[^>]*>", "", text).lower().split())
