"""Each answer fits the OpenAPI description of its route, and each route reads what it describes."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import jsonschema_rs
import pytest

from qrlogin.core import Core
from qrlogin.errors import BadRequest, Denied, QRLoginError
from qrlogin.wire import Native, Request, Response, Route, routes, validation
from qrlogin.wire.dialects.native_routes import EVENTS, SOCKET
from qrlogin.wire.openapi import SCHEMES, operation, paths
from qrlogin.wire.routes import FORM, JSON, Answer, Field, match
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import SPEAKERS, TYPED
from tests.wire.dialects.lifecycle import HISTORIES as POLLED
from tests.wire.dialects.lifecycle import StagedLogin, login_at
from tests.wire.mount import ALICE, BOB, HISTORIES, KEY, ORIGIN, URI, Mount, Tab, get, post, reach

METHODS: Final = {"get", "post"}
ELSEWHERE: Final = ("sec-fetch-site", "cross-site")


def fits(route: Route, answer: Response) -> None:
    """Raise unless the route describes this answer."""
    described = operation(route)["responses"]
    assert str(answer.status) in described, (route.path, answer)
    content = described[str(answer.status)].get("content", {})
    kind = dict(answer.headers).get("Content-Type", "").partition(";")[0]
    if not kind:
        assert not content, (route.path, answer)
        assert not answer.body
        return
    assert kind in content, (route.path, answer.status, kind)
    if kind == JSON:
        jsonschema_rs.validate(content[kind]["schema"], json.loads(answer.body))


def variants(life: StagedLogin, request: Request) -> Iterator[Request]:
    """Faulty and hostile versions of a request."""
    yield life.without_secret(request)
    yield replace(request, headers=(*request.headers, ELSEWHERE))
    yield replace(request, body=b"x" * 5000)
    yield replace(request, query=f"{request.query}&{request.query}&{'x' * 9000}")
    yield replace(
        request, headers=tuple(one for one in request.headers if one[0] != "content-type")
    )
    for name in {name for name, _ in parse_qsl(request.query)}:
        yield replace(
            request, query=urlencode([one for one in parse_qsl(request.query) if one[0] != name])
        )
        yield replace(
            request,
            query=urlencode(
                [(key, "0" if key == name else text) for key, text in parse_qsl(request.query)]
            ),
        )
    for name, _ in parse_qsl(request.body.decode()):
        yield replace(
            request,
            body=urlencode(
                [one for one in parse_qsl(request.body.decode()) if one[0] != name]
            ).encode(),
        )


@for_each_row("history", POLLED)
@for_each_row("name", SPEAKERS)
def test_every_answer_fits_its_description(name: str, history: str) -> None:
    with login_at(name, history) as life:
        for route, request in life.requests.items():
            for asked in variants(life, request):
                fits(route, life.mount.browser(asked))
        for route, request in life.requests.items():
            fits(route, life.ask(request))
        life.mount.store.down = True
        for route, request in life.requests.items():
            fits(route, life.mount.browser(request))


@for_each_row("history", HISTORIES)
def test_every_answer_of_the_native_dialect_fits_its_description(history: str) -> None:
    with Mount("sync") as mount:
        *browser, cancel, redeem = (
            *(
                get("{}"),
                get("{}", "after=1&wait=0"),
                get("{}", "wait=26"),
                get("{}", "after=-1"),
                get("{}/qr.svg"),
                get("{}/qr.png"),
            ),
            *(
                get("{}/events"),
                get("{}/events", "after=x"),
                get("{}/socket"),
                post("begin"),
                post("begin", {"deliver": "body"}),
                post("begin", {"deliver": "up"}),
                post("{}/cancel"),
                post("{}/redeem"),
            ),
        )
        for request in (*browser, cancel, redeem):
            tab = reach(mount, history)
            asked = replace(request, path=request.path.replace("{}", tab.login_id))
            route, _ = match(mount.endpoint.dialect.browser_routes, asked)
            fits(route, tab.send(asked))
            fits(route, Tab(mount).send(asked))
            mount.store.down = True
            fits(route, tab.send(asked))
            mount.store.down = False
        tab = reach(mount, history)
        fits(route, tab.redeem())
        for route in mount.endpoint.dialect.phone_routes:
            for person in (ALICE, BOB, None):
                tab = reach(mount, history)
                fits(route, tab.phone(route.path, person))
            fits(route, mount.phone(post(route.path, {"code": 1}, ELSEWHERE)))
            mount.store.down = True
            fits(route, tab.phone(route.path))
            mount.store.down = False


def test_a_description_is_a_new_object_for_each_call_and_route() -> None:
    """Frameworks change the object, and two equal routes can differ in their shapes."""
    operation(EVENTS)["tags"] = ["mine"]
    assert "tags" not in operation(EVENTS)
    one, other = (
        Route("GET", "a", "b", answers=(Answer(200, "c", JSON, {"type": kind}),))
        for kind in ("object", "array")
    )
    assert one == other
    described = [
        operation(each)["responses"]["200"]["content"][JSON]["schema"] for each in (one, other)
    ]
    assert described == [{"type": "object"}, {"type": "array"}]


def test_an_answer_that_does_not_fit_is_reported() -> None:
    route = Route(
        "GET", "a", "b", answers=(Answer(200, "c", JSON, {"type": "object", "required": ["d"]}),)
    )
    fits(route, Response.json(200, {"d": 1}))
    for wrong in (
        Response.json(200, {}),
        Response.json(201, {"d": 1}),
        Response(200, (("Content-Type", "text/html"),), b"x"),
    ):
        with pytest.raises((AssertionError, jsonschema_rs.ValidationError)):
            fits(route, wrong)


# The fields that a route reads


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names that were read, in queries and in bodies."""
    asked: set[str] = set()
    read_unique: Callable[..., Mapping[str, Any]] = validation.read_unique

    def noted(
        pairs: Sequence[tuple[str, Any]], allowed: Sequence[str], kind: str
    ) -> Mapping[str, Any]:
        asked.update(allowed)
        return read_unique(pairs, allowed, kind)

    for reader in (validation, routes):
        monkeypatch.setattr(reader, "read_unique", noted)
    return asked


@row(401)
@for_each_row("name", SPEAKERS)
def test_a_route_reads_exactly_the_described_fields(name: str, reads: set[str]) -> None:
    seen = dict.fromkeys(SPEAKERS[name](core()).browser_routes, frozenset[str]())
    for history in POLLED:
        with login_at(name, history) as life:
            for route, request in life.requests.items():
                reads.clear()
                life.ask(request)
                seen[route] |= reads
    if name == "native":  # no client in the histories opens a stream
        with login_at(name, "pending") as life:
            dialect = life.mount.endpoint.dialect
            for route, ask in ((EVENTS, dialect.browser), (SOCKET, dialect.socket)):
                reads.clear()
                headers = (("cookie", life.client.cookies), ("origin", ORIGIN))
                ask(Request("GET", route.path.replace("{login_id}", life.login_id), "", headers))
                seen[route] |= reads
    for route, names in seen.items():
        assert names == {one.name for one in (*route.query, *(route.body or ()))}, route.path


@for_each_row("name", SPEAKERS)
def test_a_field_is_required_exactly_when_it_is_described_so(name: str) -> None:
    with login_at(name, "pending") as life:
        for route, request in life.requests.items():
            for one in (*route.query, *(route.body or ())):
                query = urlencode(
                    [pair for pair in parse_qsl(request.query) if pair[0] != one.name]
                )
                if route.body and route.media == FORM:
                    body = urlencode(
                        [pair for pair in parse_qsl(request.body.decode()) if pair[0] != one.name]
                    )
                else:
                    body = json.dumps(
                        {
                            key: text
                            for key, text in json.loads(request.body or b"{}").items()
                            if key != one.name
                        }
                    )
                answer = life.mount.browser(
                    replace(
                        request, query=query, body=body.encode() if route.body else request.body
                    )
                )
                missing = f"{one.name} is missing".encode() in answer.body
                assert missing == one.required or (route.path, one.name) in {
                    ("sns/oauth2/access_token", "code"),  # for one grant_type only
                    *(
                        (path, "client_id") for path in ("device_authorization", "token")
                    ),  # or in a header
                }, (route.path, one.name)


def test_a_required_parameter_of_a_query_is_required() -> None:
    route = Route("GET", "a", "b", query=(Field("uuid", "the public id", required=True),))
    with pytest.raises(BadRequest, match="the query parameter uuid is missing"):
        route.read_query(Request("GET", "a"))
    assert route.read_query(Request("GET", "a", "uuid=x")) == {"uuid": "x"}


@for_each_row("text", ["", "+1", "1 ", "-1", "1.0", "1e3", "\u0661", "9" * 16])
def test_a_field_of_the_wrong_kind_is_refused_with_the_kind_to_send(text: str) -> None:
    one = Field("after", "the version that you last got", pattern="[0-9]{1,15}")
    with pytest.raises(BadRequest, match="after must be the version that you last got"):
        one.read(text)
    schema = operation(Route("GET", "a", "b", query=(one,)))["parameters"][0]["schema"]
    assert not jsonschema_rs.is_valid(schema, text)
    assert one.read("12") == "12"
    assert jsonschema_rs.is_valid(schema, "12")


# The description itself


def core() -> Core:
    return Core(secret_keys=[KEY], verification_uri=URI, audience=None, policy=TYPED)


@for_each_row("name", SPEAKERS)
def test_the_description_is_complete_and_valid(name: str) -> None:
    dialect = SPEAKERS[name](core())
    described = paths(dialect, "/below")
    routes = {(f"/below/{route.path}", route.method.lower()) for route in dialect.browser_routes}
    routes |= {
        (f"/below/phone/{route.path}", route.method.lower()) for route in dialect.phone_routes
    }
    assert {(path, method) for path, item in described.items() for method in item} == routes
    for path, item in described.items():
        for method, one in item.items():
            assert method in METHODS
            assert {"400"} < {*one["responses"]} or path == "/below/authorize", (
                "no answer but a refusal is described"
            )
            assert all(response["description"] for response in one["responses"].values())
            in_path = {each["name"] for each in one.get("parameters", ()) if each["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path))
            assert {name for way in one.get("security", ()) for name in way} <= SCHEMES.keys()
            for schema in schemas(one):
                jsonschema_rs.meta.validate(schema)
    assert json.loads(json.dumps(described)) == described


def schemas(described: object) -> Iterator[dict[str, Any]]:
    if isinstance(described, Mapping):
        for key, value in described.items():
            if key == "schema":
                yield value
            else:
                yield from schemas(value)
    elif isinstance(described, list):
        for each in described:
            yield from schemas(each)


def test_the_described_error_codes_are_those_of_the_errors() -> None:
    def known(error: type[QRLoginError]) -> Iterator[str]:
        yield error.wire_code
        for one in error.__subclasses__():
            yield from known(one)

    codes = {
        code
        for path in paths(Native(core())).values()
        for one in path.values()
        for code in _codes(one)
    }
    assert codes <= {*known(QRLoginError)}
    assert {
        "unknown_login",
        "superseded",
        "scanner_changed",
        "too_many_guesses",
        "unavailable",
        "too_large",
    } <= codes


def _codes(one: dict[str, Any]) -> Iterator[str]:
    for schema in schemas(one):
        yield from schema.get("properties", {}).get("error", {}).get("enum", ())


def test_the_meanings_of_one_status_are_separate_sentences() -> None:
    answers = (Answer(409, "The picture is gone"), Answer(409, "The address has moved."))
    described = operation(Route("GET", "a", "b", answers=answers, errors=(Denied,)))
    assert described["responses"]["409"]["description"] == (
        "The picture is gone. The address has moved. The login was refused on the phone."
    )


def test_a_route_without_details_is_still_described() -> None:
    """Dialects of other authors may have no details."""
    assert operation(Route("GET", "a/{code}", "It"))["responses"].keys() == {"400", "403", "404"}
