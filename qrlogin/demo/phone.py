"""`python -m qrlogin phone`: a phone in a terminal. It speaks HTTP to a running demo and imports nothing of qrlogin's core.

What the QR code says, or what was typed, is passed on as it is: only the server knows what a code looks like.
"""

import sys
from typing import Final
from urllib.parse import urlsplit

from qrlogin.demo.client import Answer, Client, Unreachable

STEPS: Final = {
    "approve": ("scan", "confirm"),
    "deny": ("scan", "deny"),
}  # who denies has looked first
DONE: Final = {
    "confirmed": "Approved. Now look at the other screen: it goes on, or asks whether to.",
    "redeemed": "Approved before, and the browser is logged in.",
    "denied": "Declined. Nobody was logged in.",
    "pending": "Put back. The code may be scanned again.",
}


def run(act: str, text: str, *, name: str, server: str | None) -> int:
    """Exit code: 0 done, 1 refused (says why), 2 nobody to ask."""
    origin = server or _origin(text)
    if origin is None:
        return _say(
            "TEXT is no address, so say where the demo runs: --server http://127.0.0.1:8000", 2
        )
    try:
        phone = Client(origin, agent="qrlogin phone")
        unlocked = phone.post("/demo/phone", {"name": name})
        if not unlocked.json.get("token"):
            elsewhere = (
                ""
                if server
                else " If the demo is elsewhere, say so: --server http://127.0.0.1:8000"
            )
            return _say(f"{origin} has no phone for {name}: {_why(unlocked)}{elsewhere}", 2)
        phone.bearer = str(unlocked.json["token"])
        for step in STEPS.get(act, (act,)):
            answer = phone.post(f"/qrlogin/phone/{step}", {"code": text})
            if not answer and (act, step, answer.error) != (
                "deny",
                "scan",
                "denied",
            ):  # a second time it is as good as done
                return _say(_why(answer), 1)
            if step != "scan":
                print(DONE.get(str(answer.json.get("state")), "Done."))
            elif act != "deny":
                _show(answer, _plain(unlocked.json.get("name", name)), urlsplit(origin).netloc)
    except Unreachable as error:
        return _say(str(error), 2)
    return 0


def _show(scanned: Answer, name: str, site: str) -> None:
    """What must be seen before approving: who asks, for what, since when, and when to say no."""
    print(f"A browser wants to be logged in as {name}:")
    context = scanned.json.get("context")
    facts = (
        sorted(context.items(), key=lambda fact: fact[0] != "browser")
        if isinstance(context, dict)
        else []
    )
    for label, value in (
        *facts,
        ("site", site),
        ("begun", f"{scanned.json.get('begun_ago')} s ago"),
    ):
        print(f"  {_plain(label):<9} {_plain(value)}")
    print(
        "Approve only if its code is on a screen in front of you. If you did not start this, deny it."
    )


def _why(answer: Answer) -> str:
    said = answer.json.get("error_description")
    return _plain(said) if said else f"it answered {answer.status}, which is no answer of a demo"


def _plain(text: object) -> str:
    """Nothing that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in str(text))


def _origin(text: str) -> str | None:
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return (
        f"{parts.scheme}://{parts.netloc}"
        if parts.scheme in ("http", "https") and parts.netloc
        else None
    )


def _say(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code
