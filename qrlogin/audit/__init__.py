"""Audits any QR login, also one that is not built with qrlogin.

Write five functions that use the login as honest people do: begin, poll, scan, confirm, collect.
The audit plays honest people and attackers with them, and reports what the attackers reached:

    from qrlogin.audit import Login, Session, Target

    def begin(browser):
        begun = browser.post("/qr/begin").json
        return Login(code=begun["url"], id=begun["id"])
    ...
    target = Target(begin=begin, poll=poll, scan=scan, confirm=confirm, collect=collect,
                    origin="https://staging.example.com", sign_in=sign_in)

Run it with `python -m qrlogin audit FILE`, with `audit(target)`, or with the pytest plugin
`qrlogin.audit.plugin`. docs/audit.md shows a whole audit.

It begins hundreds of logins and locks accounts out. Audit only a system that is yours, with two
accounts that nobody needs. What it proves, module by module:

- `flaws`: the six flaws of the 2025 study.
- `story`: skipped steps, races, expiry, superseded codes, fixation, strangers.
- `requests`: GET, other sites, headers, cookies, addresses, texts.

This package imports nothing of qrlogin outside itself: it must not trust what it audits.
"""

from qrlogin.audit.check import Check, Outcome, Result, Scene, Severity
from qrlogin.audit.devices import (
    Answer,
    Browser,
    Device,
    Phone,
    Sent,
    Transport,
    over_http,
    over_wsgi,
)
from qrlogin.audit.report import Report
from qrlogin.audit.running import CHECKS, audit, run_check
from qrlogin.audit.target import Login, Seen, Session, Target

__all__ = [
    "CHECKS",
    "Answer",
    "Browser",
    "Check",
    "Device",
    "Login",
    "Outcome",
    "Phone",
    "Report",
    "Result",
    "Scene",
    "Seen",
    "Sent",
    "Session",
    "Severity",
    "Target",
    "Transport",
    "audit",
    "over_http",
    "over_wsgi",
    "run_check",
]
