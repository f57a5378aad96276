"""The command `doctor`: prints each finding as it is made, and returns the exit code."""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict

from qrlogin.doctor.findings import exit_status, lines, summary
from qrlogin.doctor.sites import look_at_site
from qrlogin.doctor.stores import look_at_store
from qrlogin.errors import Misconfigured
from qrlogin.findings import Finding, ok, problem
from qrlogin.keys import key_ring, refuse_published_keys


def run(*, store: str, url: str, keys: str, as_json: bool) -> int:
    """Look at what is given, and print what was found. Returns 1 if there is a problem.

    :param store: the address of a store; "" for none.
    :param url: the address of a mount of the native dialect; "" for none.
    :param keys: secret keys, comma separated; "" for none.
    :param as_json: print JSON, once, at the end.
    """
    if not (store or url or keys):
        print(
            "doctor: give --store or --url, or set QRLOGIN_STORE or QRLOGIN_SECRET_KEYS",
            file=sys.stderr,
        )
        return 2
    logging.getLogger("qrlogin").addHandler(logging.NullHandler())  # the findings say it better
    findings = []
    for finding in _findings(store, url, keys):
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


def _findings(store: str, url: str, keys: str) -> Iterator[Finding]:
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
    if store:
        yield from look_at_store(store)
    if url:
        yield from look_at_site(url)
