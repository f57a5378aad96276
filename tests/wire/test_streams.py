"""A stream of server-sent events sends the current status, each change, and then ends."""

import asyncio
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrlogin import Misconfigured
from qrlogin.wire import Streaming
from qrlogin.wire.disconnects import DisconnectMonitor
from qrlogin.wire.slots import WaitSlots
from tests.application import TO_END
from tests.tables import for_each_row
from tests.wire.clock import eventually
from tests.wire.mount import HISTORIES, Colour, Mount, Tab, get, post, reach, read, with_headers
from tests.wire.reader import Parser, Stream, ask_for_events, events, happened

QUICK = Streaming(life=60, heartbeat=0.05, retry_ms=(1000, 3000))
SHORT = Streaming(life=0.2, heartbeat=0.05)
OPENING = re.compile(rb": [ -~]{130,}\nretry: ([0-9]{4})\n\n")


@contextmanager
def mounted(colour: Colour, streaming: Streaming = QUICK, max_waiting: int = 4) -> Iterator[Mount]:
    """Mount an endpoint, and check afterwards that all slots are free and no listener is left."""
    with Mount(colour, streaming=streaming, max_waiting=max_waiting) as mount:
        yield mount
        assert len(mount.store.inner._listeners) == 0
        assert free(mount) == max_waiting


def free(mount: Mount) -> int:
    endpoint: Any = mount.endpoint
    return len(endpoint._slots._free)


def sent_events(stream: Stream) -> list[tuple[str, str, int]]:
    """(kind, state, version) of all events so far."""
    parser = Parser()
    parser.feed(stream.sent)
    return [
        (event.kind, event.json.get("state", ""), event.json.get("version", -1))
        for event in parser.heard
    ]


# The first event

#: By history: the version, and the first event for no cursor, the current and another version.
#: S: the status. C: the code, which may have rotated. -: nothing. 204: do not reconnect. A number:
#: the status of a JSON error.
FIRST: dict[str, tuple[int, str, str, str]] = {
    "pending": (1, "S", "C", "S"),
    "pending, no code": (1, "S", "C", "S"),  # a browser that came back may show the last code
    "scanned": (2, "S", "-", "S"),
    "released": (3, "S", "C", "S"),
    "confirmed": (3, "S", "-", "S"),
    "redeemed": (4, "S", "204", "S"),
    "denied": (3, "S", "204", "S"),
    "cancelled": (2, "S", "204", "S"),
    "expired, pending": (
        1,
        "S",
        "S",
        "S",
    ),  # the browser saw pending with that version, and not yet that it expired
    "expired, scanned": (2, "S", "S", "S"),
    "expired, confirmed": (3, "S", "S", "S"),
    "expired, gone": (0, "S", "S", "S"),
    "unknown": (0, "404", "404", "404"),
}


def test_the_table_of_first_events_has_every_history() -> None:
    assert FIRST.keys() == HISTORIES.keys()


@for_each_row("how", ["header", "query", "both"])
@for_each_row("history", FIRST)
def test_a_stream_begins_with_the_current_status(colour: Colour, history: str, how: str) -> None:
    version, *expected = FIRST[history]
    for cursor, what in zip(("", f"{version}", f"{version + 7}"), expected, strict=True):
        with mounted(colour) as mount:
            tab = reach(mount, history)
            last_id = cursor if how != "query" else ""
            query = (
                f"after={cursor if how == 'query' else version + 9}"
                if cursor and how != "header"
                else ""
            )
            answer = ask_for_events(tab, last_id, query)
            if what in ("204", "404"):
                assert answer.status == int(what)
                assert answer.events is None
                continue
            with Stream(mount, answer) as stream:
                opened, first = stream.part(), stream.part()
                assert OPENING.fullmatch(opened)
                body = tab.look().body.decode()
                seen = json.loads(body)
                assert seen["version"] == version
                end = "-expired" if "expired" in history else ""
                assert (
                    first.decode()
                    == {
                        "S": f"id: {version}{end}\ndata: {body}\n\n",
                        "C": f"event: code\ndata: {body}\n\n",
                        "-": ":\n\n",
                    }[what]
                )
                if seen["state"] not in ("pending", "scanned", "confirmed"):
                    assert stream.part() == b""  # the stream ends by itself
                    again = ask_for_events(
                        tab, f"{version}{end}"
                    )  # an EventSource reconnects, and gets 204
                    assert (again.status, again.body) == (204, b"")


@for_each_row(
    "junk", ["x", "-1", "1.0", "1" * 16, "1-", "1-expired2", " 1", "null", "\uff11", "9" * 4000]
)
def test_a_stream_with_an_unknown_last_event_id_begins_with_the_current_status(
    colour: Colour, junk: str
) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "scanned")
        with events(tab, junk) as stream:
            stream.parts(2)
            assert sent_events(stream) == [("message", "scanned", 2)]
        assert ask_for_events(tab, query=f"after={'x' if junk == ' 1' else junk}").status == 400
        twice = with_headers(
            get(f"{tab.login_id}/events"), ("last-event-id", "2"), ("last-event-id", "2")
        )
        with Stream(mount, tab.send(twice)) as stream:
            stream.parts(2)
            assert sent_events(stream) == [("message", "scanned", 2)]


def test_a_stream_refuses_unknown_queries_and_methods(colour: Colour) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "pending")
        for query in ("wait=5", "after=1&after=2", "device_code=x", "after="):
            assert ask_for_events(tab, query=query).status == 400
        answer = tab.send(post(f"{tab.login_id}/events"))
        assert (answer.status, dict(answer.headers)["Allow"]) == (405, "GET, HEAD")


def test_a_stream_is_refused_to_a_browser_that_did_not_begin_the_login(colour: Colour) -> None:
    with mounted(colour) as mount:
        tab, stranger = reach(mount, "scanned"), Tab(mount)
        stranger.begin()
        stranger.login_id, mine = tab.login_id, stranger.login_id
        assert mine != tab.login_id
        answer = ask_for_events(stranger)
        assert (answer.status, read(answer)["error"]) == (404, "unknown_login")
        assert ask_for_events(stranger, "junk").body == answer.body
        elsewhere = tab.send(get(f"{tab.login_id}/events", "", ("origin", "https://evil.net")))
        assert elsewhere.status == 403
        assert (
            tab.send(get(f"{tab.login_id}/events", "", ("sec-fetch-site", "cross-site"))).status
            == 403
        )


# The next events


def test_a_stream_shows_each_change_of_a_login(colour: Colour) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "pending")
        with events(tab) as stream:
            stream.parts(2)
            for step in ("scan", "release", "scan", "confirm"):
                tab.phone(step)
                assert stream.part().startswith(b"id: ")
                assert json.loads(stream.sent.splitlines()[-2].removeprefix(b"data: ")) == happened(
                    tab
                )
            assert tab.redeem().status == 200
            stream.rest()
            assert sent_events(stream) == [
                ("message", "pending", 1),
                ("message", "scanned", 2),
                ("message", "pending", 3),
                ("message", "scanned", 4),
                ("message", "confirmed", 5),
                ("message", "redeemed", 6),
            ]


def test_a_rotated_code_is_sent_without_an_id(colour: Colour) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "pending")
        with events(tab) as stream:
            stream.parts(2)
            assert stream.part() == b":\n\n"  # a heartbeat without news
            mount.clock.advance(25)
            rotated = stream.part()
            assert rotated == b"event: code\ndata: " + tab.look().body + b"\n\n"
            assert b"id:" not in rotated
            mount.clock.advance(100)  # the code leaves the screen
            bare = stream.part()
            assert bare == b"event: code\ndata: " + tab.look().body + b"\n\n"
            assert b"qr" not in bare
            assert stream.part() == b":\n\n"
            mount.clock.advance(100)
            stream.rest()
            assert sent_events(stream) == [
                ("message", "pending", 1),
                ("code", "pending", 1),
                ("code", "pending", 1),
                ("message", "expired", 1),
            ]


def test_changes_between_two_reads_are_sent_as_one_event(colour: Colour) -> None:
    """A stream sends states, not a history: a slow reader sees only the current state."""
    with mounted(colour) as mount:
        tab = reach(mount, "pending")
        with events(tab) as stream:
            stream.parts(2)
            for step in ("scan", "release", "scan"):
                tab.phone(step)
            stream.part()
            assert sent_events(stream) == [("message", "pending", 1), ("message", "scanned", 4)]


def test_both_colours_send_the_same_bytes() -> None:
    streams = []
    for colour in ("sync", "async"):
        with mounted(colour, streaming=Streaming(heartbeat=0.05, retry_ms=(2000, 2000))) as mount:
            tab = reach(mount, "pending")
            with events(tab) as stream:
                stream.parts(2)
                mount.clock.advance(25)
                stream.part()
                tab.code = happened(tab)["verification_uri_complete"]
                for step in ("scan", "deny"):
                    assert tab.phone(step).status == 200
                stream.rest()
                mask = re.sub(
                    rb'"(login_id|verification_uri_complete|path|id)":"[^"]+"', b"", stream.sent
                )
                streams.append(mask)
    assert streams[0] == streams[1]
    assert streams[0].count(b"data: ") == 3


# The end of a stream


def test_a_stream_ends_after_its_life_and_can_be_resumed(colour: Colour) -> None:
    with mounted(colour, streaming=SHORT) as mount:
        tab = reach(mount, "scanned")
        with events(tab) as stream:
            stream.rest()
            assert sent_events(stream) == [("message", "scanned", 2)]
        with events(tab, "2") as stream:
            stream.rest()
            assert sent_events(stream) == []
            assert b":\n\n" in stream.sent


def test_a_newer_stream_or_wait_ends_the_older_stream_for_good(colour: Colour) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "scanned")
        older = events(tab)
        older.parts(2)
        with events(tab) as newer:
            newer.parts(2)
            last = older.rest()
            assert sent_events(older)[-1] == ("superseded", "", -1)
            assert b'"error":"superseded"' in last
            assert b"id:" not in last
            parser = Parser()
            parser.feed(last)
            assert parser.retry >= 600_000  # milliseconds: longer than any login lives
            tab.phone("confirm")
            newer.part()
            assert sent_events(newer)[-1] == ("message", "confirmed", 3)
            mount.browser(
                with_headers(
                    get(tab.login_id, "after=3&wait=1"),
                    ("authorization", f"Bearer {tab.device_code}"),
                )
            )
            newer.rest()
            assert sent_events(newer)[-1] == ("superseded", "", -1)
        older.close()


def test_a_drained_server_sends_the_status_and_ends_the_stream(colour: Colour) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "pending")
        with events(tab) as stream:
            stream.parts(2)
            mount.now(mount.qr.drain())
            assert stream.rest() in (b"", b":\n\n")
            assert Parser().retry == 0
        with events(tab, "1") as late:
            late.rest()
            assert sent_events(late) == [("code", "pending", 1)]
        held = tab.look("after=1&wait=25")
        assert read(held)["retry_after"] == 2  # at once, with a pause before the next request
        assert tab.phone("scan").status == 200  # other calls keep working
        assert read(tab.look("after=1&wait=25"))["state"] == "scanned"
        assert "retry_after" not in read(tab.look("after=1&wait=25"))
        assert tab.phone("confirm").status == 200
        assert tab.redeem().status == 200


def test_a_stream_outlives_an_outage_of_the_store_and_a_new_one_gets_503(colour: Colour) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "scanned")
        with events(tab) as stream:
            stream.parts(2)
            mount.store.down = True
            assert stream.part() == b":\n\n"
            refused = ask_for_events(tab, "2")
            assert (refused.status, read(refused)["error"]) == (503, "unavailable")
            mount.store.down = False
            assert tab.phone("confirm").status == 200
            while stream.part() == b":\n\n":
                pass
            assert sent_events(stream) == [("message", "scanned", 2), ("message", "confirmed", 3)]
            assert b"hunter2" not in stream.sent + refused.body


def test_a_stream_ends_when_its_record_is_lost_and_the_next_gets_404(colour: Colour) -> None:
    with mounted(colour) as mount:
        tab = reach(mount, "scanned")
        with events(tab) as stream:
            stream.parts(2)
            mount.forget()
            stream.rest()
            assert ask_for_events(tab, "2").status == 404


# WaitSlots


def test_each_stream_holds_a_slot_until_it_ends(
    colour: Colour,
) -> None:
    with mounted(colour, max_waiting=2) as mount:
        tabs = [reach(mount, "scanned") for _ in range(3)]
        streams = [events(tab) for tab in tabs[:2]]
        for stream in streams:
            stream.parts(2)
        refused = ask_for_events(tabs[2])
        assert (refused.status, read(refused)["error"], read(refused)["retry_after"]) == (
            503,
            "crowded",
            2,
        )
        assert ("Retry-After", "2") in refused.headers
        assert read(tabs[2].look("after=2&wait=25"))["retry_after"] == 2
        stranger = Tab(mount)
        stranger.login_id = tabs[2].login_id
        assert (
            ask_for_events(stranger).status == 404
        )  # a stranger does not learn that all slots are taken
        streams[0].close()
        with events(tabs[2]) as stream:
            stream.parts(2)
        streams[1].close()


@for_each_row("parts", range(4))
def test_a_closed_or_dropped_stream_releases_its_slot(colour: Colour, parts: int) -> None:
    with mounted(colour, max_waiting=1) as mount:
        tab = reach(mount, "scanned")
        for _ in range(3):
            stream = events(tab)
            stream.parts(parts)
            stream.close()
            stream.close()
            assert free(mount) == 1
        if parts == 0:  # a stream that was neither read nor closed
            unread = ask_for_events(tab)
            assert free(mount) == 0
            del unread
            if colour == "async":
                mount.now(asyncio.sleep(0.01))  # the loop closes dropped streams
            assert free(mount) == 1


def test_a_slot_can_be_released_while_one_is_acquired() -> None:
    """The garbage collector closes dropped streams in any thread, between any two instructions."""
    slots, taken = WaitSlots(1), list[bool]()
    assert slots.acquire()

    def collect(frame: FrameType, event: str, _: object) -> None:
        if event == "c_call":
            sys.setprofile(None)
            slots.release()

    def acquire() -> None:
        sys.setprofile(collect)
        taken.append(slots.acquire())

    thread = threading.Thread(target=acquire, daemon=True)
    thread.start()
    thread.join(20)
    assert taken == [True]  # with a lock the thread would wait for itself
    assert not slots.acquire()


def test_a_stream_whose_first_send_fails_releases_its_slot() -> None:
    async def refused(message: object) -> None:
        raise OSError("the browser has left")

    with mounted("async", max_waiting=1) as mount:
        answer = ask_for_events(reach(mount, "scanned"))
        with pytest.raises(OSError, match="has left"):
            mount.now(answer.to_asgi(refused))
        assert free(mount) == 1


def test_a_stream_of_the_wrong_colour_sends_nothing() -> None:
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    with mounted("sync", max_waiting=1) as mount:
        answer = ask_for_events(reach(mount, "scanned"))
        with pytest.raises(TypeError, match="to_wsgi"):
            asyncio.run(answer.to_asgi(send))
        assert sent == []
        Stream(mount, answer).close()


def test_without_disconnect_detection_only_a_closed_stream_ends_its_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One connection's check raises; the other browser disconnects, which ends its wait."""
    monitor, ended, checks = DisconnectMonitor(), threading.Event(), list[int]()

    def raises() -> bool:
        raise LookupError("no such connection")

    def leaves() -> bool:
        checks.append(1)
        return len(checks) > 1

    with monitor.watching(lambda: None, raises), monitor.watching(ended.set, leaves):
        assert ended.wait(20)
    assert [record.levelname for record in caplog.records] == [
        "ERROR"
    ]  # logged once, not at every check


def test_a_disconnect_ends_the_stream() -> None:
    """Under WSGI the socket shows the disconnect, and the server closes the stream."""
    with mounted("sync", streaming=Streaming(heartbeat=500), max_waiting=1) as mount:
        tab = reach(mount, "scanned")
        gone: list[bool] = []
        cookie = ("cookie", f"{tab.cookie}={tab.device_code}")
        request = with_headers(get(f"{tab.login_id}/events"), cookie)
        object.__setattr__(request, "is_disconnected", lambda: bool(gone))
        with Stream(mount, mount.browser(request)) as stream:
            stream.parts(2)
            gone.append(True)
            reads = len(mount.store.calls)
            assert stream.rest() in (b"", b":\n\n")
            assert len(mount.store.calls) == reads  # the check makes no store call
        eventually(lambda: mount.endpoint._disconnects._thread is None)


# Connections that drop


@settings(max_examples=60)
@given(
    colour=st.sampled_from(["sync", "async"]),
    steps=st.sampled_from(
        [
            ("scan", "confirm", "redeem"),
            ("scan", "release", "scan", "deny"),
            ("scan", "late"),
            ("cancel",),
        ]
    ),
    cuts=st.lists(st.none() | st.integers(0, 1000), max_size=20),
)
def test_a_dropped_connection_neither_loses_nor_repeats_a_state(
    colour: Colour, steps: tuple[str, ...], cuts: list[int | None]
) -> None:
    """The cut can be at any byte (`cuts` are thousandths of a part); a partial event is dropped."""
    cutting = iter(cuts)
    with mounted(colour) as mount:
        tab, client = reach(mount, "pending"), Parser()
        story = [happened(tab)]
        stream = _connect(tab, client)
        for step in (*steps, ""):
            while not _has_heard(client, story[-1]):
                part, cut = stream.part(), next(cutting, None)
                if cut is None:
                    assert part, "the stream ended too early"
                    client.feed(part)
                else:
                    client.feed(part[: len(part) * cut // 1000])
                    stream.close()
                    if step or not _has_heard(client, story[-1]):
                        stream = _connect(tab, client)
            if step:
                _step(tab, step)
                story.append(happened(tab))
        stream.close()
        heard = [
            (event.json["state"], event.json["version"])
            for event in client.heard
            if event.kind == "message"
        ]
        assert heard == [(each["state"], each["version"]) for each in story]
        assert ask_for_events(tab, client.last_id).status == 204


def _step(tab: Tab, step: str) -> None:
    match step:
        case "late":
            tab.mount.clock.advance(TO_END)
        case "redeem":
            assert tab.redeem().status == 200
        case "cancel":
            assert tab.cancel().status == 200
        case _:
            assert tab.phone(step).status == 200


def _connect(tab: Tab, client: Parser) -> Stream:
    client.connected()
    return events(tab, client.last_id)


def _has_heard(client: Parser, status: dict[str, Any]) -> bool:
    states = [event for event in client.heard if event.kind == "message"]
    return bool(states) and [states[-1].json[key] for key in ("state", "version")] == [
        status["state"],
        status["version"],
    ]


# The settings


@pytest.mark.parametrize(
    "wrong", [{"life": 0}, {"heartbeat": 0}, {"retry_ms": (0, 1)}, {"retry_ms": (2, 1)}]
)
def test_streaming_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match="seconds above 0"):
        Streaming(**wrong)
