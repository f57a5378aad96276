"""Looks at the `QRLogin` of an application: what its policy allows.

`Policy` refuses what is not safe. What is said here is allowed, and a choice to look at once more.
"""

from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from qrlogin.addresses import is_loopback
from qrlogin.aio import AsyncQRLogin
from qrlogin.findings import Finding, ok, problem, warning
from qrlogin.login import QRLogin
from qrlogin.policy import STANDARD, Policy

_USAGE = "give MODULE:NAME of a QRLogin, or of a function that returns one, such as shop.login:qr"


def look_at_login(place: str) -> Iterator[Finding]:
    """Import an application's `QRLogin`, and look at it. Importing runs the application's code.

    :param place: MODULE:NAME, as gunicorn and uvicorn take it.
    """
    module, _, name = place.partition(":")
    if not (module and name):
        yield problem("policy", "this names nothing that can be imported", _USAGE)
        return
    try:
        found: Any = reduce(getattr, name.split("."), import_module(module))
        if callable(found):
            found = found()
    except Exception as error:  # whatever the application raises
        # Its text is not shown: a setting that is wrong may be quoted in it.
        yield problem(
            "policy",
            f"{place} cannot be imported ({type(error).__name__})",
            "run this where the application runs, with its settings",
        )
        return
    if not isinstance(found, (QRLogin, AsyncQRLogin)):
        yield problem("policy", f"{place} is a {type(found).__name__}", _USAGE)
        return
    yield from _policy(found.core.policy, found.core.verification_uri)


def _policy(policy: Policy, uri: str) -> Iterator[Finding]:
    whole = policy.lifetime + policy.late_window + policy.decide_window + policy.redeem_window
    yield ok(
        "policy",
        f"a code is shown for {policy.lifetime} s, and a login ends after {whole} s at most",
    )
    if policy.rotation >= policy.lifetime:
        yield warning(
            "codes",
            f"a code stays the same for {policy.lifetime} s: a photograph of it can be scanned "
            "for as long",
            f"set rotation={STANDARD.rotation}",
        )
    if not policy.names_scanner:
        yield warning(
            "names",
            "the browser need not show who scanned, so it shows no stranger who did",
            "set names_scanner=True, and pass shown_as to scan()",
        )
    if policy.limits is None:
        yield warning(
            "limits",
            "one address may begin any number of logins, and one account scan any number of codes",
            "leave limits out of the policy, or set Limits(…) with numbers of your own",
        )
    if policy.user_codes and policy.guesses * STANDARD.guess_window > (
        STANDARD.guesses * policy.guess_window
    ):
        yield warning(
            "typed codes",
            f"an account may type {policy.guesses} wrong codes in {policy.guess_window} s",
            f"RFC 8628 section 5.1 advises about {STANDARD.guesses}; {STANDARD.guess_window} s is "
            "the usual window",
        )
    parts = urlsplit(uri)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield problem(
            "plain_http",
            "codes lead to an address without TLS: anyone on the network path can read the login",
            "serve https, and leave plain_http out of the policy",
        )
