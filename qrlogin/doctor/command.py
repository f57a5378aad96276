"""The command `doctor`: prints each finding as it is made, and returns the exit code."""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict

from qrlogin.doctor.logins import look_at_login
from qrlogin.doctor.printing import exit_status, lines, summary
from qrlogin.doctor.sites import look_at_site
from qrlogin.doctor.stores import look_at_store
from qrlogin.errors import Misconfigured
from qrlogin.findings import Finding, ok, problem
from qrlogin.keys import key_ring, refuse_published_keys


def run(*, store: str, url: str, login: str, keys: str, as_json: bool) -> int:
    """Look at what is given, and print what was found. Returns 1 if there is a problem.

    :param store: the address of a store; "" for none.
    :param url: the address of a mount of the native dialect; "" for none.
    :param login: MODULE:NAME of the application's `QRLogin`; "" for none.
    :param keys: secret keys, comma separated; "" for none.
    :param as_json: print JSON, once, at the end.
    """
    if not (store or url or login or keys):
        print(
            "doctor: give --store, --url or --login, or set QRLOGIN_STORE or QRLOGIN_SECRET_KEYS",
            file=sys.stderr,
        )
        return 2
    logging.getLogger("qrlogin").addHandler(logging.NullHandler())  # the findings say it better
    findings = []
    for finding in _findings(store, url, login, keys):
        findings.append(finding)
        if not as_json:
            print(*lines(finding), sep="\n", flush=True)
    if as_json:
        status = exit_status(findings)
        print(
            json.dumps({"exit_status": status, "findings": list(map(asdict, findings))}, indent=2)
        )
    else:
        print(summary(findings))
    return exit_status(findings)


def _findings(store: str, url: str, login: str, keys: str) -> Iterator[Finding]:
    if keys:
        try:
            given = [key.strip() for key in keys.split(",") if key.strip()]
            ring = key_ring(given, "doctor")
            refuse_published_keys(given)
        except Misconfigured as error:
            seen = str(error).partition(". Make one")[0]
            yield problem("keys", seen, "make one with: python -m qrlogin keygen")
        else:
            yield ok("keys", f"{len(ring)}, of which the first signs")
    if login:
        yield from look_at_login(login)
    if store:
        yield from look_at_store(store)
    if url:
        yield from look_at_site(url)
