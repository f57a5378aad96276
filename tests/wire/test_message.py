"""WSGI and ASGI requests are read up to the cap, and bad lengths and bodies are refused."""

import asyncio
import io
from dataclasses import replace
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.wire import METHODS, Cookie, Endpoint, Request, Response
from qrlogin.wire.message import BODY_CAP, constant_header
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import KEY, ORIGIN, URI

Messages = list[dict[str, Any]]


class Input:
    """A body that counts what was read, and must not be read beyond what a server allows."""

    def __init__(self, content: bytes, *, endless: bool = False) -> None:
        self._content, self._endless, self.taken = io.BytesIO(content), endless, 0

    def read(self, size: int) -> bytes:
        assert size >= 0, "a socket would be read until its end"
        got = b"x" * size if self._endless else self._content.read(size)
        self.taken += len(got)
        return got


def wsgi(content: Input, **environ: Any) -> Request:
    return Request.from_wsgi({"REQUEST_METHOD": "POST", "wsgi.input": content} | environ, "begin")


FULL = b"x" * BODY_CAP
LENGTHS: dict[str, tuple[bytes, str | None, bytes]] = {
    "exact": (b"{}", "2", b"{}"),
    "leading zeros": (b"{}xx", "0000000000000000000002", b"{}"),
    "smaller than the body": (b"{}{}", "2", b"{}"),
    "larger than the body": (b"{}", "3", b""),  # the client disconnected half way
    "much larger than the body": (b"{}", "1073741824", b""),
    "none": (b"{}", None, b""),
    "empty": (b"{}", "", b""),
    "zero": (b"{}", "0", b""),
    "negative": (b"{}", "-2", b""),
    "signed": (b"{}", "+2", b""),
    "junk": (b"{}", "two", b""),
    "hexadecimal": (b"{}", "0x2", b""),
    "fraction": (b"{}", "2.0", b""),
    "underscored": (b"{}" * 40, "1_0", b""),
    "two of them": (b"{}", "2, 2", b""),
    "spaces": (b"{}", " 2", b""),
    "newline": (b"{}", "2\n", b""),
    "other digits": (b"{}", "\u0662", b""),
    "superscript": (b"{}", "\xb2", b""),
    "the cap": (FULL, str(BODY_CAP), FULL),
    "beyond the cap": (FULL + b"yz", str(BODY_CAP + 2), FULL + b"y"),
    "far beyond the cap": (FULL * 3, str(BODY_CAP * 3), FULL + b"x"),
    "more digits than Python reads": (FULL * 3, "9" * 5000, FULL + b"x"),
}


@row(68)
@for_each_row("content, length, body", LENGTHS.values())
def test_a_wsgi_body_that_differs_from_its_content_length_is_refused(
    content: bytes, length: str | None, body: bytes
) -> None:
    environ = {} if length is None else {"CONTENT_LENGTH": length}
    source = Input(content)
    assert wsgi(source, **environ).body == body
    assert source.taken <= BODY_CAP + 1


def test_a_wsgi_server_that_ends_the_body_itself_needs_no_length() -> None:
    ends = {"wsgi.input_terminated": True}
    assert wsgi(Input(b"{}"), **ends).body == b"{}"
    assert wsgi(Input(b"{}"), CONTENT_LENGTH="junk", **ends).body == b"{}"
    assert wsgi(Input(b"{}{}"), CONTENT_LENGTH="2", **ends).body == b"{}"
    assert wsgi(Input(b"{"), CONTENT_LENGTH="2", **ends).body == b""
    endless = Input(b"", endless=True)
    assert len(wsgi(endless, **ends).body) == endless.taken == BODY_CAP + 1


def test_an_endless_wsgi_body_is_read_as_far_as_the_cap() -> None:
    endless = Input(b"", endless=True)
    assert len(wsgi(endless, CONTENT_LENGTH=str(1 << 30)).body) == endless.taken == BODY_CAP + 1


@pytest.mark.parametrize(
    "error", [OSError("chunk"), ConnectionResetError(), TimeoutError(), BrokenPipeError()]
)
def test_a_wsgi_body_that_breaks_off_is_refused(error: OSError) -> None:
    class Broken(Input):
        def read(self, size: int) -> bytes:
            raise error

    for environ in ({"CONTENT_LENGTH": "2"}, {"wsgi.input_terminated": True}):
        assert wsgi(Broken(b""), **environ).body == b""


def test_a_wsgi_input_without_a_body_is_not_read_at_all() -> None:
    for length in ({}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}):
        source = Input(b"GET /next HTTP/1.1")
        wsgi(source, **length)
        assert source.taken == 0


def test_a_wsgi_environ_is_read_as_a_request() -> None:
    request = wsgi(
        Input(b""),
        QUERY_STRING="after=1",
        REMOTE_ADDR="192.0.2.1",
        CONTENT_TYPE="application/json",
        HTTP_SEC_FETCH_SITE="none",
        HTTP_X_FORWARDED_FOR="203.0.113.9",
        HTTP_COOKIE="a=b",
    )
    assert (request.query, request.client, request.wait_disconnect) == (
        "after=1",
        "192.0.2.1",
        None,
    )
    assert request.all("sec-fetch-site") == ("none",)
    assert request.all("content-type") == ("application/json",)
    assert request.all("cookie") == ("a=b",)
    bare = wsgi(Input(b""))
    assert (bare.query, bare.client, bare.headers) == ("", None, ())


def test_a_path_begins_below_the_mount() -> None:
    for path in ("begin", "/begin"):
        assert (
            Request.from_wsgi({"REQUEST_METHOD": "GET", "wsgi.input": Input(b"")}, path).path
            == "begin"
        )
        assert asyncio.run(asgi([{"type": "http.request"}], path=path)).path == "begin"


def test_a_body_that_the_framework_has_read_is_not_read_again() -> None:
    """It is cut at the cap like any other. An empty body counts as read."""
    for body in (b"{}", b"", FULL + b"yz"):
        source = Input(b"{}")
        environ = {"REQUEST_METHOD": "POST", "wsgi.input": source, "CONTENT_LENGTH": "2"}
        assert Request.from_wsgi(environ, "begin", body=body).body == body[: BODY_CAP + 1]
        assert source.taken == 0

        async def run(body: bytes = body) -> None:
            messages = [LEFT]

            async def receive() -> dict[str, Any]:
                return messages.pop(0)

            scope = {"type": "http", "method": "POST", "headers": []}
            request = await Request.from_asgi(scope, receive, "begin", body=body)
            assert (request.body, messages) == (body[: BODY_CAP + 1], [LEFT])
            assert request.wait_disconnect
            await asyncio.wait_for(
                request.wait_disconnect(), 10
            )  # the next message is the disconnect
            assert not messages

        asyncio.run(run())


# ASGI


async def asgi(messages: Messages, path: str = "begin", **scope: Any) -> Request:
    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return await Request.from_asgi(
        {"type": "http", "method": "POST", "headers": []} | scope, receive, path
    )


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


LEFT: dict[str, Any] = {"type": "http.disconnect"}


def test_an_asgi_body_is_read_in_parts() -> None:
    assert asyncio.run(asgi([part(b"{"), part(b""), part(b"}", more=False), LEFT])).body == b"{}"
    assert asyncio.run(asgi([{"type": "http.request"}])).body == b""
    assert asyncio.run(asgi([part(FULL), part(b"", more=False)])).body == FULL
    assert asyncio.run(asgi([part(FULL), part(b"yz", more=False)])).body == FULL + b"y"


def test_an_endless_asgi_body_is_read_as_far_as_the_cap() -> None:
    messages = [part(b"x" * 1000) for _ in range(1000)]
    assert len(asyncio.run(asgi(messages)).body) == BODY_CAP + 1
    assert len(messages) == 1000 - 5
    assert len(asyncio.run(asgi([part(b"x" * 1_000_000)])).body) == BODY_CAP + 1


def test_half_a_request_of_a_disconnected_browser_is_dropped() -> None:
    async def run() -> None:
        request = await asgi([part(b'{"acknowledged":"x"}'), LEFT])
        assert request.body == b""
        assert request.wait_disconnect
        await asyncio.wait_for(request.wait_disconnect(), 10)  # the disconnect is known

    asyncio.run(run())


def test_only_a_disconnect_message_counts_as_a_disconnect() -> None:
    async def run() -> None:
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        messages.put_nowait(part(b"{}", more=False))
        request = await Request.from_asgi(
            {"type": "http", "method": "GET", "headers": []}, messages.get, "begin"
        )
        assert request.wait_disconnect
        waiting = asyncio.ensure_future(request.wait_disconnect())
        messages.put_nowait({"type": "http.request", "body": b"more", "more_body": True})
        while not messages.empty():
            await asyncio.sleep(0)
        assert not waiting.done()
        messages.put_nowait(LEFT)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(run())


def test_an_asgi_scope_is_read_as_a_request() -> None:
    headers = [(b"Cookie", b"a=b"), (b"cookie", b"c=d"), (b"X-Odd", b"\xff\xe9")]
    client = ("192.0.2.1", 1234)
    request = asyncio.run(
        asgi([part(b"", more=False)], headers=headers, query_string=b"after=1&x=%ff", client=client)
    )
    assert (request.query, request.client) == ("after=1&x=%ff", "192.0.2.1")
    assert request.all("cookie") == ("a=b", "c=d")
    assert request.all("x-odd") == ("\xff\xe9",)
    assert asyncio.run(asgi([part(b"", more=False)], client=None)).client is None


# Answering


ANSWER = Response.json(200, {"a": "…"}).with_headers(("X-One", "1"))
TWO = Response(201, ANSWER.headers, b"{}", (Cookie("a", "b", 1), Cookie("c", "", 0)))


def test_a_response_is_sent_through_wsgi() -> None:
    started: list[Any] = []
    assert b"".join(TWO.to_wsgi(lambda *head: started.append(head))) == b"{}"
    ((status, headers),) = started
    assert status == "201 Created"
    assert [value.partition("=")[0] for name, value in headers if name == "Set-Cookie"] == [
        "a",
        "c",
    ]
    assert ("Content-Length", "2") in headers


def test_a_response_is_sent_through_asgi() -> None:
    sent: Messages = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(TWO.to_asgi(send))
    start, body = sent
    assert (start["status"], body) == (201, {"type": "http.response.body", "body": b"{}"})
    assert (b"content-length", b"2") in start["headers"]
    assert sum(name == b"set-cookie" for name, _ in start["headers"]) == 2
    assert all(name == name.lower() for name, _ in start["headers"])


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_without_a_body_has_no_content_length(status: int) -> None:
    assert "Content-Length" not in dict(Response(status).header_list())


def test_json_is_utf_8_without_escapes_and_without_spaces() -> None:
    assert ANSWER.body == '{"a":"…"}'.encode()
    assert ANSWER.headers == (("Content-Type", "application/json; charset=utf-8"), ("X-One", "1"))


@for_each_row("method", METHODS)
@for_each_row("path", ["begin", "qr-login-element.js", "A" * 22, "nowhere"])
def test_requests_and_responses_conform_to_pep_3333(method: str, path: str) -> None:
    """The validator of the standard library checks both sides and fails at any deviation."""
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        endpoint = Endpoint(qr, max_waiting=1)
        app = validator(
            lambda environ, start: endpoint.browser(
                Request.from_wsgi(environ, environ["PATH_INFO"])
            ).to_wsgi(start)
        )
        current = dict(endpoint.browser(Request("GET", "qr-login-element.js")).headers)["ETag"]
        for body, etag in ((b"{}", ""), (b"", ""), (b"", current)):
            environ: dict[str, Any] = {
                "REQUEST_METHOD": method,
                "PATH_INFO": f"/{path}",
                "SCRIPT_NAME": "",
                "QUERY_STRING": "",
            }
            environ |= {
                "CONTENT_LENGTH": str(len(body)),
                "CONTENT_TYPE": "application/json",
                "wsgi.input": io.BytesIO(body),
            }
            environ |= {"HTTP_ORIGIN": ORIGIN, "HTTP_IF_NONE_MATCH": etag}
            setup_testing_defaults(environ)
            statuses: list[str] = []

            def start(
                status: str,
                headers: list[tuple[str, str]],
                _: Any = None,
                statuses: list[str] = statuses,
            ) -> Any:
                statuses.append(status)
                return lambda _: None

            answer = app(environ, start)
            content = b"".join(answer)
            answer.close()  # type: ignore[attr-defined]
            assert statuses[0][:3] in ("200", "201", "304", "400", "404", "405")
            assert bool(content) == (method != "HEAD" and statuses[0][:3] != "304")


@row(35)
@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: evil=1", "a\nb", "\x00", "\x7f"])
def test_a_header_with_control_characters_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        Response(303, (("Location", text),)).header_list()


def test_a_header_that_many_answers_carry_is_checked_when_it_is_made() -> None:
    assert constant_header("X-One", "1") == ("X-One", "1")
    for name, value in (("X-One", "1\r\nX-Two: 2"), ("X-One\n", "1")):
        with pytest.raises(ValueError, match="control characters"):
            constant_header(name, value)
        with pytest.raises(ValueError, match="control characters"):
            Response(200, ((name, value),)).header_list()


def test_what_a_request_says_is_read_once_and_cannot_be_changed() -> None:
    request = Request("GET", "begin", headers=(("cookie", "a=b; c"), ("x", "1"), ("x", "2")))
    request.cookies().clear()
    assert request.cookies() == [("a", "b"), ("c", "")]
    assert (request.all("x"), request.all("y")) == (("1", "2"), ())
    other = replace(request, headers=(("cookie", "d=e"),))
    assert (other.cookies(), other.all("x")) == ([("d", "e")], ())
    assert request == replace(request)
    assert "a=b" not in repr(request)


def test_released_headers_are_read_again_when_they_are_asked_for() -> None:
    encoded = [(b"Cookie", b"a=b"), (b"Origin", b"https://a.example")]

    def has_headers(request: Request) -> bool:
        try:
            object.__getattribute__(request, "headers")
        except AttributeError:
            return False
        return True

    for headers, released in ((encoded, True), (iter(encoded), False)):
        request = asyncio.run(asgi([part(b"", more=False)], headers=headers))
        read = request.headers, request.cookies(), request.all("origin")
        for _ in range(2):
            request._release_headers()
        assert has_headers(request) is not released
        assert (request.headers, request.cookies(), request.all("origin")) == read
        request._release_headers()
        assert request == replace(request)
    with pytest.raises(AttributeError, match="heads"):
        _ = request.heads  # type: ignore[attr-defined]
