"""A picture is drawn only for a client that needs it."""

import re

import pytest

from qrlogin.wire.dialects import native
from tests.tables import for_each_row
from tests.wire.mount import Colour, Mount, Tab, get, post, reach, read
from tests.wire.reader import Stream, events, happened
from tests.wire.test_streams import mounted

NONE = ("accept", "application/json; picture=none")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "matrix_path", lambda text: pytest.fail("a picture was drawn"))


@pytest.mark.usefixtures("undrawn")
def test_nothing_is_drawn_for_a_client_that_asks_for_no_picture(mount: Mount) -> None:
    for begin in (post("begin", {"picture": "none"}), post("begin", None, NONE)):
        tab = Tab(mount)
        begun = read(tab.send(begin))
        assert "qr" not in begun
        tab.login_id = begun["login_id"]
        for status in (get(tab.login_id, "picture=none"), get(tab.login_id, "", NONE)):
            seen = read(tab.send(status))
            assert "qr" not in seen
            uri = seen["verification_uri_complete"]
            assert uri == begun["verification_uri_complete"], "the text is there all the same"


def test_a_client_that_does_not_say_gets_the_picture_each_time(mount: Mount) -> None:
    tab = reach(mount, "pending")
    for accept in ("", "*/*", "application/json", "image/png; picture=x", "x; a=;picture=none1"):
        qr = read(tab.send(get(tab.login_id, "", ("accept", accept))))["qr"]
        assert set(qr) == {"size", "path", "id"}


@for_each_row("by_header", [True, False])
def test_a_status_has_a_picture_only_if_the_client_shows_another_one(
    mount: Mount, by_header: bool
) -> None:
    tab = reach(mount, "pending")

    def look(shown: str) -> dict[str, object]:
        accept = ("accept", f"text/html;q=0.1, application/json;q=1; picture={shown}, */*")
        request = (
            get(tab.login_id, "", accept) if by_header else get(tab.login_id, f"picture={shown}")
        )
        return read(tab.send(request))

    first = happened(tab)["qr"]
    assert re.fullmatch(r"[\w-]{12}", first["id"])
    assert "qr" not in look(first["id"])
    assert look("A" * 12)["qr"] == first
    mount.clock.advance(25)
    second = look(first["id"])["qr"]
    assert second == happened(tab)["qr"] != first


def test_the_id_of_a_picture_does_not_show_the_code(mount: Mount) -> None:
    tab = reach(mount, "pending")
    seen = happened(tab)
    code = seen["verification_uri_complete"].rpartition("/")[2]
    assert seen["qr"]["id"] not in code
    assert not any(code[at : at + 6] in seen["qr"]["id"] for at in range(len(code) - 5))


def test_a_stream_sends_each_picture_once_to_a_client_that_says_what_it_shows(
    colour: Colour,
) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "pending")
        with events(tab, query=f"picture={happened(tab)['qr']['id']}") as stream:
            first = stream.parts(2)
            assert b'"state":"pending"' in first
            assert b'"qr"' not in first
            tab.phone("scan")
            stream.part()
            tab.phone("release")
            released = stream.part()
            assert b'"state":"pending"' in released
            assert b'"verification_uri_complete"' in released
            assert b'"qr"' not in released
            mount.clock.advance(25)
            assert b'"qr"' in _next_event(stream)
            tab.phone("scan")
            stream.part()
            tab.phone("release")
            assert b'"qr"' not in stream.part()
        with events(tab) as stream:
            assert b'"qr"' in stream.parts(2)


def _next_event(stream: Stream) -> bytes:
    return next(part for part in iter(stream.part, b"") if part != b":\n\n")


@for_each_row("value", ["", "None", "A" * 11, "A" * 13, "A" * 11 + "="])
def test_another_value_is_refused_in_a_query_and_in_a_body(mount: Mount, value: str) -> None:
    tab = reach(mount, "pending")
    assert tab.send(get(tab.login_id, f"picture={value}")).status == 400
    assert mount.browser(post("begin", {"picture": value})).status == 400
