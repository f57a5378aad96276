"""A page of another host of the same domain, in a visitor's browser, against the script dialects.

It sends what browsers send from there: the visitor's cookies (the site is the same), and the
headers that a browser sets itself. It begins a login in the visitor's browser, approves it on a
phone of its own, and opens what logs in. `tests/browser/test_siblings.py` does the same in a real
Chromium.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

from qrlogin.wire import Person, Request, Response
from tests.attackers.score import Score
from tests.wire.dialects.dialect_clients import SPEAKERS
from tests.wire.dialects.lifecycle import StagedLogin, login_at
from tests.wire.mount import CREDENTIAL, ORIGIN, Mount, post

SIBLING = "https://blog.example.com"
_MALLORY = Person("the-attacker", "M", name="mallory")
Headers = tuple[tuple[str, str], ...]


def requests_of_browsers(origin: str) -> Iterator[Headers]:
    """What browsers add to the requests that a page of this origin makes, by how it makes them.

    A browser from before 2023 sends no Sec-Fetch-Site. Then `Referer` or `Origin` names the page.
    A page can keep its browser from sending a `Referer`, but not Sec-Fetch-Site.
    """
    site = "same-origin" if origin == ORIGIN else "same-site"
    for referrer in (None, f"{origin}/", f"{origin}/page?x=y"):
        for sent in (None, origin, "null"):
            named = ((name, value) for name, value in (("referer", referrer), ("origin", sent)))
            headers = tuple((name, value) for name, value in named if value)
            yield (*headers, ("sec-fetch-site", site), ("sec-fetch-mode", "no-cors"))
            if (referrer or sent) and sent != "null":
                yield headers


def attack(rounds: int = 1, page: str = SIBLING) -> Score:
    """Every dialect, every combination of headers. It wins if the visitor is logged in.

    :param rounds: how often everything is tried.
    :param page: the origin of the page; the site's own shows that the attack works.
    """
    score = Score("sibling")
    for name, headers in itertools.product(sorted(SPEAKERS), requests_of_browsers(page)):
        for _ in range(rounds):
            with login_at(name, "pending") as login:
                _begin_and_approve(login, headers, score)
            with login_at(name, "confirmed") as login:
                _collect(login, headers, score)
    return score


def _begin_and_approve(login: StagedLogin, headers: Headers, score: Score) -> None:
    """The page begins a login in its visitor's browser, and the attacker's phone approves it."""
    mount = login.mount
    begin = next(each for route, each in login.requests.items() if route.path == login.begin_path)
    begun = _sent(mount, begin, headers, "", score)
    if begun is None or begun.status >= 400:
        return
    found = re.search(r"[0-9a-f]{32}|[A-Za-z0-9_-]{22}==", begun.body.decode("latin-1"))
    if login.name in ("native", "rfc8628") or not found:
        return  # a page cannot read this answer, and no script runs it
    cookies = "; ".join(f"{each.key}={each.value}" for each in begun.cookies)
    code = found[0]
    for verb in ("scan", "confirm"):
        mount.phone(post(verb, {"code": code}, CREDENTIAL), _MALLORY)
    for request in login.requests.values():
        other = replace(
            request,
            path=request.path.replace(login.code, code),
            query=request.query.replace(login.code, code),
        )
        answer = _sent(mount, other, headers, cookies, score)
        if answer and answer.redeemed:
            score.win(f"{login.name}: the visitor is logged in as {answer.redeemed.subject}")


def _collect(login: StagedLogin, headers: Headers, score: Score) -> None:
    """The page makes its visitor's browser collect a login of the visitor's own, or read it."""
    for request in login.requests.values():
        # A page does not know the device_code of a client that keeps it in its own memory.
        request = login.without_secret(request)
        answer = _sent(login.mount, request, headers, login.client.cookies, score)
        if answer and answer.redeemed:
            score.win(f"{login.name}: the page collected a login of {answer.redeemed.subject}")


def _sent(
    mount: Mount, request: Request, headers: Headers, cookies: str, score: Score
) -> Response | None:
    """A request as the browser of a visitor sends it. A page can set no token of the visitor's."""
    kept = tuple(each for each in request.headers if each[0] == "content-type")
    own = (("cookie", cookies),) if cookies else ()
    asked = replace(request, headers=(*kept, *headers, *own))
    answer = score.ask(lambda: mount.browser(asked))
    if answer is not None and answer.events is not None:
        answer.events.close()  # type: ignore[union-attr]  # a generator
    return answer
