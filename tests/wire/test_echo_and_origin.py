"""What a status answer repeats, what draws its picture, and what the log says of an Origin."""

import logging

import pytest

from qrlogin.wire import Native
from tests.wire.mount import ORIGIN, Mount, get, post, reach, read


def test_a_status_answer_repeats_the_echo(mount: Mount) -> None:
    """A page recognizes an answer that a cache kept for an earlier request."""
    tab = reach(mount, "scanned")
    for query in ("echo=a1B2", "after=0&wait=25&echo=a1B2", "echo=" + "x" * 32):
        answer = read(tab.send(get(tab.login_id, query)))
        assert answer["echo"] == query.rpartition("=")[2]
    assert "echo" not in read(tab.send(get(tab.login_id)))
    for wrong in ("", "a-b", "%00", "x" * 33, "a&echo=b"):
        assert tab.send(get(tab.login_id, f"echo={wrong}")).status == 400


def test_the_log_names_a_refused_origin_once(
    mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "qrlogin")
    for origin in ("https://www.example.com", "https://www.example.com", ORIGIN, "null\x1b[31m"):
        mount.browser(post("begin", {}, ("origin", origin)))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "'https://www.example.com'" in lines[0]
    assert f"verification_uri is at {ORIGIN}." in lines[0]
    assert "\x1b" not in lines[1]
    for number in range(100):
        mount.browser(post("begin", {}, ("origin", f"https://{number}.example")))
    assert len(caplog.records) == 20, "a stranger cannot fill the log"


def test_the_applications_own_function_draws_the_png() -> None:
    with Mount("sync", make=lambda core: Native(core, draw_png=lambda text: text.encode())) as one:
        tab = reach(one, "pending")
        assert tab.send(get(f"{tab.login_id}/qr.png")).body.decode() == tab.code
