"""A 404 below a mount says in the log which mount answered it. No line holds a code."""

import logging
from typing import Any

import pytest

from tests.tables import for_each_row
from tests.wire.mount import ALICE, CREDENTIAL, Mount, get, post

ON_BROWSER = "404 at the browser's mount of Native: it has no path "
ON_PHONE = "404 at the phone's mount of Native: it has no path "
CUT = "; a mount must pass on only what follows its prefix"
CODE = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"


@for_each_row(
    "side, path, line",
    [
        ("browser", "begun", f"{ON_BROWSER}'begun'"),
        ("browser", "qrlogin/begin", f"{ON_BROWSER}'qrlogin/begin'{CUT}"),
        ("browser", "/begin", f"{ON_BROWSER}'/begin'{CUT}"),
        ("browser", f"qrlogin/{'a' * 22}/redeem", f"{ON_BROWSER}'qrlogin/…/redeem'{CUT}"),
        ("browser", "phone/scan", f"{ON_BROWSER}'phone/scan'{CUT}"),
        ("browser", "scan", f"{ON_BROWSER}'scan', but the phone's mount has"),
        ("phone", "begin", f"{ON_PHONE}'begin', but the browser's mount has"),
        ("phone", "phone/scan", f"{ON_PHONE}'phone/scan'{CUT}"),
        # What is not a word may be a code, or may be there to mislead the reader of the log.
        ("browser", f"qr/{CODE}", f"{ON_BROWSER}'qr/…'"),
        ("browser", "WDJB-MJHT/wdjb-mjht", f"{ON_BROWSER}'…/…'"),
        ("browser", "a\r\nERROR forged\x1b[2J", f"{ON_BROWSER}'…'"),
        ("browser", "x/" * 40_000, f"{ON_BROWSER}'{'x/' * 30}…'"),
    ],
)
def test_a_path_that_is_not_found_is_logged_with_its_mount(
    mount: Mount, caplog: pytest.LogCaptureFixture, side: str, path: str, line: str
) -> None:
    caplog.set_level(logging.DEBUG, "qrlogin")
    caplog.clear()
    if side == "phone":
        assert mount.phone(post(path, {}, CREDENTIAL), ALICE).status == 404
    else:
        assert mount.browser(get(path)).status == 404
    assert [each.getMessage() for each in caplog.records] == [line]
    assert CODE not in caplog.text


def test_an_endpoint_warns_of_eight_paths_and_logs_the_others_at_debug(
    mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "qrlogin")
    for _ in range(100):
        mount.browser(get("wp.login"))
    levels = [each.levelno for each in caplog.records if "404" in each.getMessage()]
    assert levels == [logging.WARNING] * 8 + [logging.DEBUG] * 92
    assert mount.browser(get("qr-login-element.js")).status == 200


def test_a_websocket_at_an_unknown_path_is_closed_and_logged_with_its_mount(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that cannot send a response to a websocket answers this close with 403."""
    caplog.set_level(logging.DEBUG, "qrlogin")
    sent = list[Any]()
    scope = {"type": "websocket", "path": "/qr/begun", "headers": [], "query_string": b""}

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    with Mount("async") as mount:
        mount.now(mount.endpoint.socket(scope, receive, send, "begun"))
    assert sent == [{"type": "websocket.close"}]
    assert [each.getMessage() for each in caplog.records] == [f"{ON_BROWSER}'begun'"]
