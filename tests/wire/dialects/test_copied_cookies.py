"""A cookie that is copied from a browser after its login gives no further session.

A redeem can be repeated for 30 seconds, so that a lost answer loses no login. A browser that
received the answer has no cookie of that login any more; one that did not has it still.
"""

import json
from dataclasses import replace

from qrlogin.wire import Response
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import SPEAKERS
from tests.wire.dialects.lifecycle import login_at
from tests.wire.mount import Mount, post, reach

PUBLIC_ID = [name for name in SPEAKERS if name not in ("native", "rfc8628")]


def jar_after(jar: dict[str, str], answer: Response) -> dict[str, str]:
    """The cookies of a browser that received this answer."""
    changed = {cookie.key: cookie for cookie in answer.cookies}
    kept = {name: value for name, value in jar.items() if name not in changed}
    return kept | {name: cookie.value for name, cookie in changed.items() if cookie.max_age}


@row(2, 33)
@for_each_row("name", PUBLIC_ID)
def test_a_browser_has_no_cookie_of_a_login_that_it_collected(name: str) -> None:
    with login_at(name, "confirmed") as login:
        jar = dict(login.client.jar)
        [(request, answer)] = [
            (request, answer)
            for request in login.requests.values()
            if (answer := login.mount.browser(request)).redeemed and not answer.tokens_wanted
        ]
        left = jar_after(jar, answer)
        assert [cookie for cookie in left if "qrl-" in cookie] == ["__Host-qrl-known"]
        copied = "; ".join(f"{cookie}={value}" for cookie, value in left.items())
        headers = tuple(header for header in request.headers if header[0] != "cookie")
        again = login.mount.browser(replace(request, headers=(*headers, ("cookie", copied))))
        assert again.redeemed is None
        # The answer was lost on the way, so the browser has its cookie still.
        repeated = login.mount.browser(request)
        assert repeated.redeemed
        assert repeated.redeemed.replayed


@row(2, 33)
def test_a_copied_cookie_of_the_native_dialect_needs_the_op_of_the_page(mount: Mount) -> None:
    """The page keeps its cookie: the body of an answer can get lost when its headers do not."""
    tab = reach(mount, "confirmed")
    tag = json.loads(tab.look().body)["scanned_by"]["tag"]
    assert tab.redeem().redeemed
    stolen = {"acknowledged": tag, "op": "x" * 22}
    answer = tab.send(post(f"{tab.login_id}/redeem", stolen))
    assert (answer.redeemed, json.loads(answer.body)["error"]) == (None, "already_redeemed")
    assert tab.redeem().redeemed
