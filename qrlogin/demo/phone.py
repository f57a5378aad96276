"""`python -m qrlogin phone`: a phone in a terminal. It speaks HTTP to a demo and imports no core.

The text of the QR code, or the typed code, is sent as it is: only the server parses codes.
"""

import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin, urlsplit

from qrlogin.demo.client import Answer, Client, Unreachable
from qrlogin.names import clean

#: The requests of each act: a login is scanned before it is approved or denied.
ACTS: Final = {
    "look": ("look",),
    "scan": ("scan",),
    "confirm": ("confirm",),
    "deny": ("scan", "deny"),
    "release": ("release",),
    "outcome": ("outcome",),
    "approve": ("scan", "confirm"),
}
#: What is printed for the state of a login after a decision, and for an outcome.
RESULTS: Final = {
    "confirmed": "Approved. Continue on the other screen.",
    "redeemed": "Approved. The browser is logged in.",
    "denied": "Denied. The browser was not logged in.",
    "pending": "Released. The code can be scanned again.",
    "scanned": "Scanned. It is not decided yet.",
    "cancelled": "Cancelled in the browser, which was not logged in.",
    "expired": "The browser did not continue in time. It was not logged in.",
}
KNOWN: Final = "You have logged in on this browser before."
NEVER_USED: Final = (
    "This browser has never been used with your account. "
    "If you are not in front of it right now, deny it."
)
MAX_BYTES: Final = 400  # of one value or message from the server, as it is printed


def run(
    act: str,
    text: str,
    *,
    name: str,
    server: str | None,
    ask: Callable[[str], str] = input,
) -> int:
    """Runs one command. Returns its exit code: 0 done, 1 rejected, 2 the demo was not reached.

    Prints the reason to stderr unless it returns 0.

    :param act: a key of ACTS
    :param text: what the QR code says, the code alone, or a code to type
    :param name: whose phone this is: the key of an account, such as "alice"
    :param server: the origin of the demo; None to take the origin of `text`
    :param ask: prints a question and returns the line that its user types. It asks for the digits
        that the browser shows
    """
    origin = server or _origin(text)
    if origin is None:
        return _fail("TEXT is not an address. Add --server http://127.0.0.1:8000", 2)
    try:
        phone = Client(origin, agent="qrlogin phone")
        unlocked = phone.post("/demo/phone", {"name": name})
        if not unlocked.json.get("token"):
            hint = "" if server else " If the demo runs elsewhere, add --server with its address."
            return _fail(f"{origin} has no phone for {name}: {_reason(unlocked)}{hint}", 2)
        phone.bearer = str(unlocked.json["token"])
        for step in ACTS[act]:
            answer = phone.post(f"/qrlogin/phone/{step}", {"code": text})
            while answer.error == "match_needed" or answer.json.get("tries_left"):
                if answer.error == "wrong_match":
                    print(f"{_reason(answer)} Tries left: {answer.json['tries_left']}.")
                if not (typed := _digits(ask)):
                    break
                answer = phone.post(f"/qrlogin/phone/{step}", {"code": text, "match_code": typed})
            if not answer:
                if (act, step, answer.error) == ("deny", "scan", "denied"):
                    continue  # denied before: the next step says so
                return _fail(_refusal(answer, origin), 1)
            if step not in ("look", "scan"):
                print(RESULTS.get(str(answer.json.get("state")), "Done."))
            elif act != "deny":
                _show(answer, _printable(unlocked.json.get("name", name)), urlsplit(origin).netloc)
    except Unreachable as error:
        return _fail(str(error), 2)
    return 0


def _digits(ask: Callable[[str], str]) -> str:
    """The two or three digits that the person types; "" if the input ends."""
    while True:
        try:
            typed = "".join(ask("Digits on the other screen: ").split())
        except EOFError:
            return ""
        if typed.isascii() and typed.isdigit() and len(typed) in (2, 3):
            return typed
        print("Type the two or three digits that the other screen shows.")


def _show(scanned: Answer, name: str, site: str) -> None:
    """Prints what a person needs before approving: who asks, for which site, and since when."""
    print(f"A browser wants to log in as {name}:")
    context = scanned.json.get("context")
    facts = context if isinstance(context, dict) else {}
    claims = ("browser", "system")
    for label, value in (
        ("browser", _claim(*(str(facts.get(name, "")) for name in claims))),
        *(fact for fact in facts.items() if fact[0] not in (*claims, "scope")),
        ("site", site),
        ("started", f"{scanned.json.get('begun_ago')} s ago"),
    ):
        print(f"  {_printable(label):<9} {_printable(value)}")
    if isinstance(known := scanned.json.get("known_browser"), bool):
        print(KNOWN if known else NEVER_USED)
    print("Approve only if this code is on a screen in front of you.")
    print("If you did not start this login, deny it.")


def _claim(browser: str, system: str) -> str:
    """What the browser says about itself, as a claim: any program can send any name."""
    if not browser:
        return "an unknown browser"
    return f"says it is {browser} on {system}" if system else f"says it is {browser}"


def _reason(answer: Answer) -> str:
    description = answer.json.get("error_description")
    if description:
        return _printable(description)
    return f"the server answered {answer.status}, which is not an answer of the demo."


def _refusal(answer: Answer, origin: str) -> str:
    """The reason, with the address of the step that the site's judge asks for."""
    reason, step = _reason(answer), answer.json.get("step_up_uri")
    if not step:
        return reason
    at = _printable(urljoin(origin, str(step)))
    return f"{reason.removesuffix('.')}: {at} Then run this command again."


def _printable(value: object) -> str:
    """One line without control characters, which a terminal would obey."""
    return clean(str(value), MAX_BYTES)


def _origin(text: str) -> str | None:
    """Scheme, host and port of an address; None if `text` is not an http(s) address."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    is_web = parts.scheme in ("http", "https") and parts.netloc
    return f"{parts.scheme}://{parts.netloc}" if is_web else None


def _fail(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code
