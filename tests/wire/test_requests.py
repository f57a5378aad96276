"""Each malformed request is refused with its reason and changes nothing."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qrlogin import STANDARD
from qrlogin.browser import MODULES
from qrlogin.errors import BadArgument, BadRequest
from qrlogin.wire import METHODS, Person, Request, Response
from qrlogin.wire.message import BODY_CAP
from qrlogin.wire.validation import query_pairs
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import (
    BOB,
    CREDENTIAL,
    ELEMENT,
    JSON,
    Mount,
    Tab,
    get,
    post,
    reach,
    read,
    with_headers,
)

BROWSER_PATHS = {
    "begin": "POST",
    "{login_id}": "GET",
    "{login_id}/qr.svg": "GET",
    "{login_id}/qr.png": "GET",
    "{login_id}/events": "GET",
    "{login_id}/socket": "GET",
    "{login_id}/cancel": "POST",
    "{login_id}/redeem": "POST",
    **dict.fromkeys(MODULES, "GET"),
    "modules/{version}/{module}": "GET",
}


def filled(path: str, login_id: str) -> str:
    """A path of a route with something in place of its placeholders."""
    path = path.replace("modules/{version}/{module}", f"modules/{'0' * 16}/{ELEMENT}")
    return path.replace("{login_id}", login_id)


PHONE_PATHS = ("look", "scan", "confirm", "deny", "release", "outcome")
ODD_METHODS = ("CONNECT", "PROPFIND", "get", "Post", "GET ", "", "\r\nGET")


# Methods and paths


def test_the_routes_that_a_dialect_declares_are_those_that_it_answers(mount: Mount) -> None:
    dialect = mount.endpoint.dialect
    assert {route.path: route.method for route in dialect.browser_routes} == BROWSER_PATHS
    assert {route.path: route.method for route in dialect.phone_routes} == dict.fromkeys(
        PHONE_PATHS, "POST"
    )


@row(424)
@for_each_row("path", BROWSER_PATHS)
def test_a_wrong_method_from_a_browser_gets_405_with_the_allowed_ones(
    mount: Mount, path: str
) -> None:
    tab = reach(mount, "scanned")
    before = mount.records
    right = "GET, HEAD" if BROWSER_PATHS[path] == "GET" else BROWSER_PATHS[path]
    for method in (*METHODS, *ODD_METHODS):
        if method not in right.split(", "):
            answer = tab.send(Request(method, filled(path, tab.login_id), "", (JSON,), b"{}"))
            assert (answer.status, dict(answer.headers)["Allow"]) == (405, right)
    assert mount.records == before


@for_each_row("path", PHONE_PATHS)
def test_a_wrong_method_from_a_phone_gets_405_with_the_allowed_ones(
    mount: Mount, path: str
) -> None:
    tab = reach(mount, "scanned")
    before = mount.records
    for method in (*METHODS, *ODD_METHODS):
        if method != "POST":
            answer = mount.phone(
                Request(
                    method, path, "", (JSON, CREDENTIAL), json.dumps({"code": tab.code}).encode()
                )
            )
            assert (answer.status, dict(answer.headers)["Allow"]) == (405, "POST")
    assert mount.records == before


@row(424)
@pytest.mark.parametrize("header", ["x-http-method-override", "x-method-override", "x-http-method"])
def test_no_header_turns_one_method_into_another(mount: Mount, header: str) -> None:
    tab = reach(mount, "pending")
    assert tab.send(with_headers(get(f"{tab.login_id}/cancel"), (header, "POST"))).status == 405
    assert read(tab.look())["state"] == "pending"


def test_a_head_request_is_answered_without_a_body_and_not_held(mount: Mount) -> None:
    tab = reach(mount, "pending")
    module = tab.send(Request("HEAD", ELEMENT))
    assert (module.status, module.body) == (200, b"")
    assert dict(module.header_list())["Content-Length"] == str(len(tab.send(get(ELEMENT)).body))
    held = tab.send(Request("HEAD", tab.login_id, "after=1&wait=25"))
    assert (held.status, held.body) == (200, b"")
    assert not mount.store.inner._listeners._listeners


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_any_other_path_gets_404(mount: Mount, method: str) -> None:
    tab = reach(mount, "scanned")
    before, asked = mount.records, len(mount.store.calls)
    login_id = tab.login_id
    paths = [
        "",
        "/",
        "begin/",
        "Begin",
        "begin.css",
        "phone",
        "phone/scan",
        "scan",
        "confirm",
        "status",
        "admin",
        "../begin",
    ]
    paths += [
        "{login_id}",
        "{login_id}/qr.svg",
        "{login_id}/cancel",
        f"{login_id}/",
        f"{login_id}//qr.svg",
        f"{login_id}/x.css",
    ]
    paths += [
        f"{login_id}/qr.svg/",
        f"{login_id}/QR.SVG",
        f"{login_id}/qrxsvg",
        f"{login_id}/qr",
        f"{login_id}x",
        login_id[:-1],
        f" {login_id}",
    ]
    paths += [
        f"{login_id}\n",
        f"{login_id}\x00",
        f"{{{login_id}}}",
        f"{login_id[:-1]}*",
        f"{login_id[:-1]}é",
        "x" * 10_000,
    ]
    for path in paths:
        answer = tab.send(Request(method, path, "", (JSON,), b"{}" if method == "POST" else b""))
        assert (answer.status, read(answer)["error"]) == (404, "not_found"), path
    for path in (
        "",
        "begin",
        "scan/",
        "SCAN",
        "redeem",
        login_id,
        f"{login_id}/cancel",
        ELEMENT,
        "{login_id}",
    ):
        answer = mount.phone(Request(method, path, "", (JSON, CREDENTIAL), b"{}"))
        assert (answer.status, read(answer)["error"]) == (404, "not_found"), path
    assert mount.records == before
    assert len(mount.store.calls) == asked


# Bodies


def everywhere(
    mount: Mount, tab: Tab, content_type: str | None, body: bytes, query: str = ""
) -> list[Response]:
    """The answers of every path that reads a body."""
    headers = (("content-type", content_type),) if content_type is not None else ()
    doors = [tab.send(Request("POST", path, query, headers, body)) for path in _with_bodies(tab)]
    return doors + [
        mount.phone(Request("POST", path, query, (*headers, CREDENTIAL), body))
        for path in PHONE_PATHS
    ]


def _with_bodies(tab: Tab) -> list[str]:
    return [
        filled(path, tab.login_id) for path, method in BROWSER_PATHS.items() if method == "POST"
    ]


@pytest.fixture
def untouched(mount: Mount) -> "Untouched":
    return Untouched(mount)


class Untouched:
    """A scanned login, and a check that no request has read or changed it in the store."""

    def __init__(self, mount: Mount) -> None:
        self.mount, self.tab = mount, reach(mount, "scanned")
        self.before, self.asked = mount.records, len(mount.store.calls)

    def refuses(self, status: int, answers: list[Response]) -> None:
        assert answers
        for answer in answers:
            assert answer.status == status, (answer, answer.body)
        assert self.mount.records == self.before
        assert len(self.mount.store.calls) == self.asked


FORMS = (
    None,
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonx",
    "text/json",
    "application/json, text/plain",
    "json",
    "application/ json",
    "application/vnd.api+json",
)


@row(15, 418)
@for_each_row("content_type", FORMS)
def test_content_types_that_a_form_of_another_site_can_send_are_refused(
    untouched: Untouched, content_type: str | None
) -> None:
    untouched.refuses(
        415, everywhere(untouched.mount, untouched.tab, content_type, b'{"code":"x"}')
    )


@for_each_row(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json ; x=y",
    ],
)
def test_every_spelling_of_the_json_content_type_is_accepted(
    mount: Mount, content_type: str
) -> None:
    assert (
        mount.browser(Request("POST", "begin", "", (("content-type", content_type),), b"{}")).status
        == 201
    )


def test_two_content_types_are_refused(mount: Mount) -> None:
    assert (
        mount.browser(
            Request("POST", "begin", "", (JSON, ("content-type", "text/plain")), b"{}")
        ).status
        == 400
    )


@row(29)
def test_a_body_one_byte_over_the_cap_is_refused(mount: Mount) -> None:
    full = b"{" + b" " * (BODY_CAP - 2) + b"}"
    assert mount.browser(post("begin", full)).status == 201
    untouched = Untouched(mount)
    untouched.refuses(413, everywhere(mount, untouched.tab, "application/json", full + b" "))


NESTED = 2000  # what fits into the cap; the recursion limit is half of it
MALFORMED = {
    "empty": b"",
    "cut short": b'{"code":"x"',
    "trailing": b'{"code":"x"}{}',
    "comment": b'{"code":"x"} // please',
    "single quotes": b"{'code':'x'}",
    "array": b'["code","x"]',
    "text": b'"code"',
    "number": b"1",
    "null": b"null",
    "NaN": b'{"code":NaN}',
    "Infinity": b'{"code":-Infinity}',
    "bare NaN": b"NaN",
    "unknown field": b'{"subject":"1"}',
    "__proto__": b'{"__proto__":{"state":"confirmed"}}',
    "empty key": b'{"":"x"}',
    "not UTF-8": b'{"code":"\xff"}',
    "overlong": b'{"code":"\xc0\xaf"}',
    "surrogate in bytes": b'{"code":"\xed\xa0\x80"}',
    "byte order mark": b'\xef\xbb\xbf{"code":"x"}',
    "UTF-16": '{"code":"x"}'.encode("utf-16"),
    "UTF-16 without mark": '{"code":"x"}'.encode("utf-16-le"),
    "UTF-32": '{"code":"x"}'.encode("utf-32"),
    "NUL": b'{"code":"x\x00"}',
    "NUL after": b'{"code":"x"}\x00',
    "newline in text": b'{"code":"x\n"}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "deep array": b"[" * NESTED + b"]" * NESTED,
    "deep array, never closed": b"[" * BODY_CAP,
    "deep object": b'{"code":' * 500,
    "deep value": b'{"code":' + b"[" * NESTED + b"]" * NESTED + b"}",
    "long number": b'{"code":' + b"9" * 4000 + b"}",
    "long fraction": b'{"code":1e' + b"9" * 4000 + b"}",
}


@row(29, 401)
@for_each_row("body", MALFORMED.values())
def test_a_malformed_or_unexpected_body_is_refused(untouched: Untouched, body: bytes) -> None:
    untouched.refuses(400, everywhere(untouched.mount, untouched.tab, "application/json", body))


TWICE = (
    ("begin", b'{"deliver":"body","deliver":"body"}'),
    ("begin", b'{"deliver":"body","de\\u006civer":"cookie"}'),
    ("redeem", b'{"acknowledged":"x","op":"oooooooooooooooooooooo","op":"oooooooooooooooooooooo"}'),
    ("redeem", b'{"acknowledged":"x","acknowledged":"y","op":"oooooooooooooooooooooo"}'),
    ("phone", b'{"code":"x","code":"x"}'),
    ("phone", b'{"code":"x","\\u0063ode":"y"}'),
)


@for_each_row("path, body", TWICE)
def test_a_repeated_field_is_refused(untouched: Untouched, path: str, body: bytes) -> None:
    mount, tab = untouched.mount, untouched.tab
    if path == "phone":
        answers = [mount.phone(post(verb, body, CREDENTIAL)) for verb in PHONE_PATHS]
    else:
        answers = [tab.send(post(path if path == "begin" else f"{tab.login_id}/{path}", body))]
    untouched.refuses(400, answers)
    assert all(read(answer)["error_description"].endswith("is there twice") for answer in answers)


@for_each_row("value", [None, True, 0, 1.5, [], ["x"], {}, {"code": "x"}, "\ud800", "x\udfff"])
@for_each_row(
    "path, fields",
    [("begin", ["deliver"]), ("redeem", ["acknowledged", "op"]), ("phone", ["code"])],
)
def test_a_field_that_is_not_text_is_refused(
    untouched: Untouched, path: str, fields: list[str], value: object
) -> None:
    mount, tab = untouched.mount, untouched.tab
    fine = {"deliver": "body", "acknowledged": "x", "op": "o" * 22, "code": tab.code}
    for name in fields:
        body = {field: fine[field] for field in fields} | {name: value}
        if path == "phone":
            untouched.refuses(
                400, [mount.phone(post(verb, body, CREDENTIAL)) for verb in PHONE_PATHS]
            )
        else:
            untouched.refuses(
                400, [tab.send(post(path if path == "begin" else f"{tab.login_id}/{path}", body))]
            )


@for_each_row("deliver", ["", "Body", "url", "cookie "])
def test_an_unknown_way_to_deliver_is_refused(untouched: Untouched, deliver: str) -> None:
    untouched.refuses(400, [untouched.tab.send(post("begin", {"deliver": deliver}))])


@for_each_row(
    "op",
    [
        "",
        "short",
        "o" * 15,
        "o" * 129,
        "o" * 16 + "\n",
        "o" * 16 + "\x00",
        "ö" * 22,
        "o o" * 8,
        "٣" * 22,
    ],
)
def test_a_malformed_op_is_refused(untouched: Untouched, op: str) -> None:
    tab = untouched.tab
    answer = tab.send(post(f"{tab.login_id}/redeem", {"acknowledged": "x", "op": op}))
    untouched.refuses(400, [answer])
    assert "16 to 128 letters" in read(answer)["error_description"]


@pytest.mark.parametrize("missing", ["acknowledged", "op", "code"])
def test_a_missing_field_is_named(untouched: Untouched, missing: str) -> None:
    tab, sent = untouched.tab, {"acknowledged": "x", "op": "o" * 22}
    if missing == "code":
        answer = untouched.mount.phone(post("scan", {}, CREDENTIAL))
    else:
        answer = tab.send(
            post(
                f"{tab.login_id}/redeem",
                {name: value for name, value in sent.items() if name != missing},
            )
        )
    untouched.refuses(400, [answer])
    assert read(answer)["error_description"] == f"the field {missing} is missing"


IDENTITIES = (
    "subject",
    "user",
    "user_id",
    "person",
    "login_id",
    "state",
    "shown_as",
    "phone",
    "device_code",
    "scan_code",
    "context",
)


@row(4)
@for_each_row("field", IDENTITIES)
def test_a_body_cannot_name_a_subject_or_a_login(
    untouched: Untouched, field: str
) -> None:  # F4, F5
    tab = untouched.tab
    untouched.refuses(
        400,
        [
            tab.send(post("begin", {field: "1"})),
            tab.send(
                post(f"{tab.login_id}/redeem", {"acknowledged": "x", "op": "o" * 22, field: "1"})
            ),
            untouched.mount.phone(post("confirm", {"code": tab.code, field: "1"}, CREDENTIAL), BOB),
        ],
    )


@for_each_row("body", [b"{}", b" ", b"\x00", b"x" * (BODY_CAP + 1)])
def test_a_get_with_a_body_is_refused(untouched: Untouched, body: bytes) -> None:
    tab = untouched.tab
    paths = [
        filled(path, tab.login_id) for path, method in BROWSER_PATHS.items() if method == "GET"
    ]
    untouched.refuses(400, [tab.send(Request("GET", path, "", (JSON,), body)) for path in paths])


# Queries


STATUS_QUERIES = (
    *("after=1&after=1", "wait=0&wait=0", "after=1&after=2&wait=0", "after=0&%61fter=0"),
    *(
        "login_id=x",
        "after=0&x=",
        "callback=alert",
        "jsonp=x",
        "device_code=x",
        "_=1700000000",
        "After=0",
        "after%00=0",
    ),
    *(
        "after=",
        "after",
        "after=-1",
        "after=+1",
        "after=1.0",
        "after=1e3",
        "after= 1",
        "after=1%20",
        "after=x",
        "after=0x10",
    ),
    *(
        f"after={'9' * 16}",
        f"after={'9' * 5000}",
        "after=%D9%A3",
        "after=\xb2",
        "after=1;wait=0",
        "after[]=1",
        "after=None",
    ),
    *(
        "wait=",
        "wait=26",
        "wait=-1",
        "wait=1.5",
        "wait=25s",
        "wait=x",
        "wait=99999999999999",
        "wait=inf",
        "wait=nan",
        "wait=%00",
    ),
    *(
        "after=%ff",
        "%ff=1",
        "&",
        "&&after=1",
        "=",
        "=1",
        "after==1",
        "\r\nset-cookie: a=b",
        "after=1%0d%0aset-cookie:a=b",
    ),
)


@for_each_row("query", STATUS_QUERIES)
def test_a_repeated_or_unknown_query_parameter_is_refused(untouched: Untouched, query: str) -> None:
    untouched.refuses(400, [untouched.tab.look(query)])


@for_each_row("query", ["id=a", "id=a&id=b", "code=x", "callback=x", "x", "deliver=body", "wait=1"])
def test_a_query_on_a_route_without_one_is_refused(untouched: Untouched, query: str) -> None:
    tab = untouched.tab
    answers = everywhere(untouched.mount, tab, "application/json", b'{"code":"x"}', query)
    answers += [tab.send(get(f"{tab.login_id}/qr.{kind}", query)) for kind in ("svg", "png")]
    untouched.refuses(400, answers)


@for_each_row(
    "query",
    [
        "",
        "after=2",
        "after=000000000000002",
        "wait=0",
        "wait=00",
        "wait=25&after=1",
        "wait=0&after=2",
    ],
)
def test_a_status_accepts_after_and_wait(mount: Mount, query: str) -> None:
    assert read(reach(mount, "scanned").look(query))["state"] == "scanned"


@pytest.mark.parametrize("query", ["v=3", "callback=x", "%ff"])
def test_the_element_ignores_a_query(mount: Mount, query: str) -> None:
    assert mount.browser(get(ELEMENT, query)).status == 200


# The text of a refusal


@row(463)
def test_a_refusal_repeats_nothing_of_what_was_sent(mount: Mount) -> None:
    tab = reach(mount, "scanned")
    marker = "Ωmega-marker"
    answers = everywhere(mount, tab, "application/json", json.dumps({marker: marker}).encode())
    answers += everywhere(mount, tab, f"text/{marker}", b"{}")
    answers += [
        tab.look(f"{marker}={marker}"),
        tab.look(f"after={marker}"),
        tab.send(get(marker)),
        tab.send(Request(marker, "begin")),
    ]
    answers += [mount.browser(post("begin", {}, ("origin", f"https://{marker}")))]
    answers += [mount.browser(post("begin", {"deliver": marker}))]
    for answer in answers:
        assert 400 <= answer.status < 500
        assert b"marker" not in answer.body
        assert set(read(answer)) == {"error", "error_description"}


def test_each_kind_of_bad_request_has_its_own_wire_code() -> None:
    kinds: list[type[BadRequest]] = [BadRequest, *BadRequest.__subclasses__()]
    assert (
        len({kind.wire_code for kind in kinds})
        == len({kind.wire_text for kind in kinds})
        == len(kinds)
    )


@row(306, 439)
def test_a_signed_out_phone_gets_401_before_its_body_is_read(untouched: Untouched) -> None:
    answers = [
        untouched.mount.phone(post(verb, b"nonsense", CREDENTIAL), None) for verb in PHONE_PATHS
    ]
    untouched.refuses(401, answers)
    assert {dict(answer.headers)["WWW-Authenticate"] for answer in answers} == {"Bearer"}


IMPOSSIBLE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"subject": 42}, r"str\(user.id\), not int"),
    ({"subject": None}, "not NoneType"),
    ({"subject": b"42"}, "not bytes"),
    ({"subject": ""}, "must not be empty"),
    ({"subject": "x" * 256}, "at most 255 bytes"),
    ({"subject": "\ud83d"}, "valid Unicode"),
    ({"subject": "1", "phone": 7}, "phone must be text"),
    ({"subject": "1", "phone": "x" * 256}, "phone must have at most 255 bytes"),
    ({"subject": "1", "shown_as": 7}, "shown_as must be text"),
)


@for_each_row("fields, remedy", IMPOSSIBLE)
def test_a_person_that_cannot_work_is_refused_at_construction(
    fields: dict[str, Any], remedy: str
) -> None:
    """Each mistake has a message of its own."""
    with pytest.raises(BadArgument, match=remedy):
        Person(**{"shown_as": "A", **fields})


@for_each_row("verb", PHONE_PATHS)
def test_a_person_without_shown_as_is_refused_at_the_first_request(
    untouched: Untouched, verb: str
) -> None:
    """A person does not know the policy, so the endpoint says what is missing, for every verb."""
    with pytest.raises(BadArgument, match=r"Person\(\) needs shown_as"):
        untouched.tab.phone(verb, Person("1"))
    assert untouched.mount.records == untouched.before


def test_where_the_policy_names_no_one_a_person_needs_no_shown_as() -> None:
    with Mount("sync", policy=replace(STANDARD, names_scanner=False)) as mount:
        assert reach(mount, "pending").phone("scan", Person("1")).status == 200


@given(st.from_regex(r"([a-z_]{0,21}=?[A-Za-z0-9_-]{0,65}&?){1,9}", fullmatch=True))
@example("after=1&wait=25&echo=abc")
@example("after=1&after=2")
@example("a=")
def test_plain_parameters_are_read_as_the_standard_library_reads_them(query: str) -> None:
    """A shorter way reads those in which nothing is encoded."""
    try:
        expected = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        with pytest.raises(BadRequest):
            query_pairs(Request("GET", "begin", query))
    else:
        assert query_pairs(Request("GET", "begin", query)) == expected
