"""Whatever is sent to any route of any dialect: an answer below 500, and nothing changes that the sender may not change.

Values first, in every parameter; then Hypothesis puts them together with all else that can be wrong, and adds its own.
"""

import time
import tracemalloc
from dataclasses import replace
from typing import get_args
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrlogin.wire import METHODS, Request, Response
from qrlogin.wire.message import BODY_CAP
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import SPEAKERS
from tests.wire.dialects.hostile import HOSTILE, RAW, SITES, SUFFIXES
from tests.wire.dialects.lifecycle import CAROL, HISTORIES, Life, lived, parameters, set_parameter
from tests.wire.mount import Colour, with_headers
from tests.wire.test_fuzz import anything, names, values

EXAMPLES = settings().max_examples // 5  # for each dialect and colour
COLOURS = pytest.mark.parametrize("colour", get_args(Colour))
EVERY = for_each_row("name", SPEAKERS)
DRAWN = pytest.mark.parametrize("name", SPEAKERS)


@EVERY
@for_each_row("history", HISTORIES)
def test_there_is_a_request_for_every_route(name: str, history: str) -> None:
    with lived(name, history) as life:
        assert set(life.requests) == set(life.routes)
        if history == "confirmed":  # and they are genuine: one of them logs in
            asked = [each for each in life.requests.values() if not each.path.endswith("/cancel")]
            logins = [answer.redeemed for each in asked if (answer := life.ask(each)).redeemed]
            assert {login.subject for login in logins} == {CAROL.subject}


# Parameters


@EVERY
def test_a_parameter_twice(name: str) -> None:  # W6
    """One that matters is refused; one that is not looked at may be there as often as its client likes."""
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            for where, parameter, value in parameters(request):
                without = life.ask(set_parameter(request, where, parameter, None))
                plain = life.ask(request)
                for other in (value, "x", ""):
                    twice = set_parameter(request, where, parameter, other, twice=True)
                    if request.path != life.begins and (plain.status, plain.body) != (
                        without.status,
                        without.body,
                    ):
                        empty = other == "" and where == "query"  # is none, RFC 6749 section 3.1
                        life.refused(twice, *(() if empty else (400,))) if not empty else life.ask(
                            twice
                        )
                    else:
                        life.changes_nothing_unsaid(twice)


@EVERY
def test_a_parameter_of_the_form_in_the_address(name: str) -> None:
    with lived(name, "confirmed") as life:
        for request in life.requests.values():
            for where, parameter, value in parameters(request):
                if where == "body" and parameter != "t":  # which is not looked at
                    query = f"{parameter}={quote(value)}"
                    life.refused(replace(request, query=query), 400)
                    life.refused(
                        replace(set_parameter(request, where, parameter, None), query=query), 400
                    )


#: What some client of some dialect adds, or somebody else; together, but for the one that is refused if it leads elsewhere.
ADDED = (
    ("redirect_uri",),
    (
        "defaulturl",
        "state",
        "lang",
        "uid",
        "next",
        "scope",
        "self_redirect",
        "f",
        "fun",
        "last",
        "style",
        "umid_token",
    ),
)


@EVERY
def test_hostile_values_in_parameters_that_clients_may_add(name: str) -> None:  # W9
    with lived(name, "confirmed") as life:
        for request in (life.strangers(each) for each in life.requests.values()):
            for value in HOSTILE:
                for added in ADDED:
                    others = [
                        parameter for parameter in added if f"{parameter}=" not in request.query
                    ]
                    query = "&".join(
                        filter(
                            None, (request.query, *(f"{each}={quote(value)}" for each in others))
                        )
                    )
                    _not_repeated(life.changes_nothing_unsaid(replace(request, query=query)), value)


@EVERY
def test_hostile_values_reach_nothing_and_do_not_come_back(name: str) -> None:  # W9, W39, F4
    for history in ("pending", "confirmed"):
        with lived(name, history) as life:
            for request in (life.strangers(each) for each in life.requests.values()):
                for value in HOSTILE:
                    for where, parameter, _ in parameters(request):
                        answer = life.changes_nothing_unsaid(
                            set_parameter(request, where, parameter, value)
                        )
                        _not_repeated(answer, value)
                        assert answer.redeemed is None
                    answer = life.refused(
                        replace(request, path=request.path.replace(life.code, value) + "x"), 404
                    )
                    _not_repeated(answer, value)


def _not_repeated(answer: Response, value: str) -> None:
    """A few dialects repeat what is plain: as text in JSON, or escaped in an attribute."""
    if dict(answer.headers).get("Content-Type") == "image/png":
        return
    told = answer.body.decode() + str(answer.headers)
    for raw in RAW:
        if raw in value:
            assert value not in told, value
            assert "<script>evil" not in told
            assert "\r" not in told.replace("\\r", "")


@EVERY
def test_forged_ids_do_not_reach_the_store(name: str) -> None:  # W7, W19, W39
    """Each place of the public id, held by the browser that has the genuine cookie."""
    with lived(name, "confirmed") as life:
        code = life.code
        last = "A" if code[-1] != "A" else "B"
        spelled = (
            code[:-1] + last,
            code.upper() + "=",
            code + "=",
            code[:-1],
            f" {code}",
            f"{code}\n",
            f"{code}\x00",
            code * 2,
        )
        junk = (
            *spelled,
            *HOSTILE,
            "x" * 10_000,
            "." * 4000,
            f"{code},{code}",
            f"{code[:-2]}٣٣",
            life.device_code + "x",
        )
        for request in life.requests.values():
            for forged in junk:
                if forged == code or request.path == life.begins:
                    continue
                for where, parameter, value in parameters(request):
                    if code in value:
                        given = value.replace(code, forged)
                        changed = set_parameter(request, where, parameter, given)
                        if name == "jd" and given.startswith(
                            code
                        ):  # one that is genuine, with a wrong ticket behind it
                            assert life.changes_nothing_unsaid(changed).redeemed is None
                        else:
                            life.refused(changed)
                if code in request.path:
                    life.refused(
                        replace(request, path=request.path.replace(code, forged)), 400, 404, 426
                    )  # the last: whoever asks plainly for a socket


FILLINGS = ("x", "/", "%2f", "é", "&a=", "; ")


@EVERY
def test_long_parameters(name: str) -> None:  # W8
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            for where, parameter, _ in parameters(request):
                for filling in FILLINGS:
                    life.changes_nothing_unsaid(
                        _filled(request, where, parameter, (filling * 10_000)[:10_000])
                    )


@EVERY
def test_long_queries_take_no_more_memory_than_their_length(name: str) -> None:
    size = 200_000
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            for filling in ("%2f", "&a="):
                changed = replace(request, query=f"uuid={filling * (size // 3)}&callback={filling}")
                tracemalloc.start()
                life.changes_nothing_unsaid(changed)
                most = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert most < 4 * size, (
                    request.path
                )  # read as it is, %2f alone would take the standard library 77 bytes each


def _filled(request: Request, where: str, parameter: str, text: str) -> Request:
    """With a value that is not encoded."""
    changed = set_parameter(request, where, parameter, None)
    if where == "body":
        return replace(
            changed, body=(changed.body + f"&{parameter}={text}".encode())[: BODY_CAP + 1]
        )
    return replace(changed, query=f"{changed.query}&{parameter}={text}")


@EVERY
def test_the_time_for_an_answer_grows_no_faster_than_the_request(name: str) -> None:
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            for where, parameter, _ in parameters(request):
                if where == "query":
                    short, long = (
                        _fastest(life, request, parameter, size) for size in (50_000, 1_000_000)
                    )
                    assert long < 100 * (short + 0.0005), (
                        request.path,
                        parameter,
                    )  # squared, it would be 400 times


def _fastest(life: Life, request: Request, parameter: str, size: int) -> float:
    changed = _filled(request, "query", parameter, "/a" * (size // 2))

    def measured() -> float:
        began = time.process_time()
        life.ask(changed)
        return time.process_time() - began

    return min(measured() for _ in range(2))


@for_each_row("name", sorted(SPEAKERS.keys() - {"taobao", "jd"}))
def test_where_there_is_no_jsonp_a_callback_is_not_repeated(name: str) -> None:  # W10
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            for parameter in ("callback", "jsonp", "cb", "_callback"):
                answer = life.changes_nothing_unsaid(
                    replace(request, query=f"{request.query}&{parameter}=marked")
                )
                assert b"marked" not in answer.body


# Together

TWISTS = (
    *(
        "method",
        "path",
        "query",
        "header",
        "site",
        "same header",
        "no content type",
        "no cookie",
        "cookie",
        "body",
    ),
    *("value", "twice", "without"),
)
raw_queries = anything | st.sampled_from(
    ["%ff", "&&=", "=", "a=b;c=d", "%00=%00", "&" * 200, "\ud800", "callback=x&callback=y"]
)


@st.composite
def twisted(draw: st.DrawFn, life: Life, stranger: bool) -> Request:
    """One of the genuine requests, and up to three things wrong with it."""
    request = life.requests[draw(st.sampled_from(sorted(life.requests, key=str)))]
    if stranger:
        request = life.strangers(request)
    for twist in draw(st.lists(st.sampled_from(TWISTS), max_size=3)):
        hostile = draw(
            st.sampled_from(HOSTILE) | anything | st.sampled_from((life.code, life.login_id))
        )
        match twist, parameters(request):
            case "method", _:
                request = replace(
                    request, method=draw(st.sampled_from(METHODS) | st.text(max_size=8))
                )
            case "path", _:
                added = draw(st.sampled_from(SUFFIXES))
                request = replace(
                    request,
                    path=draw(st.sampled_from([request.path + added, hostile, life.begins])),
                )
            case "query", _:
                request = replace(
                    request,
                    query=draw(raw_queries | st.just(f"{request.query}&{draw(raw_queries)}")),
                )
            case "header", _:
                request = with_headers(
                    request, draw(st.tuples(names | anything, values | anything))
                )
            case "site", _:
                sites = st.tuples(
                    st.just("sec-fetch-site"),
                    st.sampled_from([site for site in SITES if site is not None]),
                )
                request = with_headers(request, draw(sites | st.tuples(st.just("origin"), values)))
            case "same header", _ if request.headers:
                request = with_headers(request, draw(st.sampled_from(request.headers)))
            case "no content type" | "no cookie", _:
                name = twist.removeprefix("no ").replace(" ", "-")
                request = replace(
                    request,
                    headers=tuple(header for header in request.headers if header[0] != name),
                )
            case "cookie", _ if life.cookie:
                request = with_headers(request, ("cookie", f"{life.cookie}={hostile}"))
            case "body", _:
                request = replace(
                    request, body=draw(st.binary(max_size=80) | st.just(b"x" * (BODY_CAP + 1)))
                )
            case "value", [_, *_] as found:
                where, parameter, _ = draw(st.sampled_from(found))
                request = set_parameter(request, where, parameter, hostile)
            case "twice", [_, *_] as found:
                where, parameter, value = draw(st.sampled_from(found))
                request = set_parameter(request, where, parameter, value, twice=True)
            case "without", [_, *_] as found:
                request = set_parameter(request, *draw(st.sampled_from(found))[:2], None)
    return request


@DRAWN
@COLOURS
@settings(max_examples=EXAMPLES)
@given(data=st.data(), history=st.sampled_from(sorted(HISTORIES)))
def test_strangers_change_nothing_but_may_begin(
    name: str, colour: Colour, data: st.DataObject, history: str
) -> None:
    with lived(name, history, colour) as life:
        request = data.draw(twisted(life, stranger=True))
        before, asked = life.mount.records, life.asked
        answer = life.changes_nothing_unsaid(request)
        after = life.mount.records
        assert answer.redeemed is None
        assert {login_id: after[login_id] for login_id in before} == before
        assert (after.keys() == before.keys()) == (life.asked == asked), (
            "only a new login reaches the store"
        )


@DRAWN
@COLOURS
@settings(max_examples=EXAMPLES)
@given(data=st.data(), history=st.sampled_from(sorted(HISTORIES)))
def test_insiders_change_only_what_the_answer_says(
    name: str, colour: Colour, data: st.DataObject, history: str
) -> None:
    with lived(name, history, colour) as life:
        answer = life.changes_nothing_unsaid(data.draw(twisted(life, stranger=False)))
        if answer.redeemed:
            assert history in ("confirmed", "redeemed")
            assert answer.redeemed.subject == CAROL.subject
            assert answer.redeemed.replayed == (history == "redeemed")


def test_the_fuzz_reaches_every_kind_of_answer() -> None:
    """A fuzz that is stopped at the first gate proves little: some of its requests get all the way."""
    met: set[int] = set()

    @settings(max_examples=200, derandomize=True, database=None)
    @given(data=st.data(), name=st.sampled_from(sorted(SPEAKERS)))
    def meet(data: st.DataObject, name: str) -> None:
        with lived(name, "confirmed") as life:
            answer = life.ask(data.draw(twisted(life, stranger=False)))
            met.add(-1 if answer.redeemed else answer.status)

    meet()
    assert met >= {-1, 200, 302, 400, 403, 404, 405, 415}
