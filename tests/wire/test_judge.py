"""The judge is asked at a look, a scan and a confirm, and a failing one denies."""

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest

from qrlogin import STANDARD, BadArgument, MemoryStore, Misconfigured, QRLogin
from qrlogin.answers import Scanned
from qrlogin.limits import network_of
from qrlogin.wire import (
    ALLOW,
    DENY,
    STEP_UP,
    AsyncEndpoint,
    BrowserContext,
    Endpoint,
    Judge,
    Native,
    Person,
    Request,
    Response,
    Rfc8628,
    Ruling,
)
from qrlogin.wire.dialects import DIALECTS
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import (
    ALICE,
    BOB,
    CREDENTIAL,
    KEY,
    URI,
    Colour,
    Mount,
    post,
    reach,
    read,
)

SECRET = "hunter2"
JUDGED = ("look", "scan", "confirm")


class Bench:
    """A judge that rules as it is set to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.rulings: dict[str, Any] = {}
        self.asked: list[tuple[Scanned, Person, Request]] = []

    def __call__(self, scanned: Scanned, person: Person, request: Request) -> Ruling:
        self.asked.append((scanned, person, request))
        ruling = self.rulings.get(request.path, ALLOW)
        if isinstance(ruling, Exception):
            raise ruling
        returned: Ruling = ruling
        return returned

    @property
    def steps(self) -> list[str]:
        return [request.path for _, _, request in self.asked]


class AwaitedBench(Bench):
    """The same as an async function."""

    async def __call__(  # type: ignore[override]  # the other colour
        self, scanned: Scanned, person: Person, request: Request
    ) -> Ruling:
        await asyncio.sleep(0)
        return super().__call__(scanned, person, request)


@pytest.fixture(params=["blocking", "async with a plain judge", "async"])
def bench_and_mount(request: pytest.FixtureRequest) -> Iterator[tuple[Bench, Mount]]:
    bench = AwaitedBench() if request.param == "async" else Bench()
    colour: Colour = "sync" if request.param == "blocking" else "async"
    with Mount(colour, judge=bench) as mount:
        yield bench, mount


@pytest.fixture
def bench(bench_and_mount: tuple[Bench, Mount]) -> Bench:
    return bench_and_mount[0]


@pytest.fixture
def mount(bench_and_mount: tuple[Bench, Mount]) -> Mount:
    return bench_and_mount[1]


def refusal(answer: Response) -> tuple[int, Mapping[str, Any]]:
    return answer.status, read(answer)


def test_the_judge_is_asked_at_look_scan_and_confirm_with_both_contexts(
    bench: Bench, mount: Mount
) -> None:
    tab = reach(mount, "pending")
    for verb in ("look", "scan", "confirm", "outcome", "deny"):
        assert tab.phone(verb).status == 200
    assert bench.steps == [*JUDGED]
    assert [scanned.state for scanned, _, _ in bench.asked] == ["pending", "pending", "scanned"]
    for scanned, person, request in bench.asked:
        assert scanned.login_id == tab.login_id
        assert scanned.context["browser"] == "Firefox", "the browser's, as it began"
        assert person is ALICE
        assert CREDENTIAL in request.headers, "the phone's request"


@row(70)
@pytest.mark.parametrize("verb", JUDGED)
def test_a_denied_phone_learns_why_and_changes_nothing(
    bench: Bench, mount: Mount, verb: str
) -> None:
    tab = reach(mount, "scanned" if verb == "confirm" else "pending")
    before, seen = mount.records, tab.look().body
    bench.rulings[verb] = DENY("Your account is\nlocked.\u202e Call us.")
    words = "Your account is locked. Call us."
    assert refusal(tab.phone(verb)) == (
        403,
        {"error": "denied_by_site", "error_description": words, "words": words},
    )
    assert mount.records == before, "nothing is claimed and nothing is released"
    assert tab.look().body == seen, "the browser goes on waiting"
    if verb != "confirm":
        assert tab.phone("scan", BOB).status == (403 if verb == "scan" else 200)
    bench.rulings.clear()


def test_a_denial_without_words_says_that_the_site_refused(bench: Bench, mount: Mount) -> None:
    bench.rulings["look"] = DENY()
    assert refusal(reach(mount, "pending").phone("look"))[1] == {
        "error": "denied_by_site",
        "error_description": "The site does not allow this login.",
    }


@pytest.mark.parametrize("verb", JUDGED)
def test_a_step_up_says_where_and_the_same_call_works_afterwards(
    bench: Bench, mount: Mount, verb: str
) -> None:
    tab = reach(mount, "scanned" if verb == "confirm" else "pending")
    before = mount.records
    bench.rulings[verb] = STEP_UP("/unlock?for=this")
    assert refusal(tab.phone(verb)) == (
        403,
        {
            "error": "step_up_needed",
            "error_description": "The site asks for one more step first.",
            "step_up_uri": "/unlock?for=this",
        },
    )
    assert mount.records == before
    bench.rulings.clear()
    assert tab.phone(verb).status == 200


def test_a_person_can_deny_and_release_what_the_judge_would_refuse(
    bench: Bench, mount: Mount
) -> None:
    for verb in ("deny", "release"):
        tab = reach(mount, "scanned")
        bench.rulings = dict.fromkeys(("deny", "release", "outcome"), DENY())
        assert tab.phone(verb).status == 200


@pytest.mark.parametrize("history", ["confirmed", "redeemed"])
def test_a_call_that_repeats_an_approval_is_not_judged_again(
    bench: Bench, mount: Mount, history: str
) -> None:
    """The phone would otherwise say that nothing was approved, and the browser could redeem."""
    tab = reach(mount, history)
    bench.rulings = dict.fromkeys(JUDGED, DENY())
    bench.asked.clear()
    assert [read(tab.phone(verb))["state"] for verb in JUDGED] == [history] * 3
    assert bench.asked == []


def test_the_judge_is_not_asked_about_a_login_that_the_phone_may_not_read(
    bench: Bench, mount: Mount
) -> None:
    for history, person in (("scanned", BOB), ("denied", ALICE), ("unknown", ALICE)):
        tab = reach(mount, history)
        bench.asked.clear()
        assert {tab.phone(verb, person).status for verb in JUDGED} <= {404, 409}
    assert tab.phone("look", None).status == 401
    assert bench.asked == []


def test_a_confirm_is_judged_after_the_code_itself_has_expired(bench: Bench, mount: Mount) -> None:
    tab = reach(mount, "scanned")
    mount.clock.advance(STANDARD.rotation + STANDARD.rotation_grace)
    bench.asked.clear()
    assert tab.phone("confirm").status == 200
    assert bench.steps == ["confirm"]


@row(71)
@for_each_row(
    "failure, logged",
    [
        (KeyError(SECRET), "judge raised KeyError at test_judge.py:"),
        (StopIteration(SECRET), "judge raised "),  # a thread cannot hand it to an event loop
        (BadArgument(SECRET), "judge raised BadArgument at test_judge.py:"),
        (None, "judge returned NoneType, so"),
        (True, "judge returned bool, so"),
        (Ruling, "judge returned ABCMeta, so"),
    ],
)
def test_a_failing_judge_denies_and_is_logged_once(
    failure: Any, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    for colour, bench in (("sync", Bench()), ("async", Bench()), ("async", AwaitedBench())):
        caplog.clear()
        with Mount(colour, judge=bench) as mount:  # type: ignore[arg-type]
            bench.rulings = dict.fromkeys(JUDGED, failure)
            tab = reach(mount, "pending")
            for _ in range(2):
                answer = tab.phone("look")
                assert answer.status == 403
                assert read(answer).keys() == {"error", "error_description"}
                assert SECRET.encode() not in answer.body
        (record,) = [each for each in caplog.records if each.name == "qrlogin"]
        assert record.levelno == logging.ERROR
        assert logged.replace("ABCMeta", "type") in record.getMessage()
        assert SECRET not in caplog.text
        assert tab.code not in caplog.text


def test_a_judge_whose_async_function_a_lambda_hides_denies_each_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    awaited = AwaitedBench()
    with Mount("sync", judge=lambda *asked: awaited(*asked)) as mount:
        assert reach(mount, "pending").phone("look").status == 403
    assert "judge returned coroutine" in caplog.text


@row(70)
@for_each_row("kind", sorted(DIALECTS))
def test_every_phone_passes_the_judge_whatever_dialect_began_the_login(kind: str) -> None:
    """No other dialect answers phones, so none takes a judge, which would be asked nothing."""
    bench, policy = Bench(), replace(STANDARD, user_codes=True)
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=policy) as qr:
        needed = {"clients": lambda *_: True} if kind in ("rfc8628", "wechat_open") else {}
        dialect = DIALECTS[kind](qr.core, **needed)
        assert dialect.phone_routes == ()
        with pytest.raises(Misconfigured, match="native dialect"):
            Endpoint(qr, dialect, max_waiting=1, judge=bench)
        begun = qr.begin(ask_browser=False)
        phones = Endpoint(qr, max_waiting=1, judge=bench)
        bench.rulings["scan"] = DENY()
        code = {"code": begun.verification_uri_complete}
        assert phones.phone(post("scan", code, CREDENTIAL), ALICE).status == 403


def test_the_phones_of_typed_codes_pass_the_judge() -> None:
    """Each right code costs no guess, however often the judge is asked about it."""
    bench = Bench()
    policy = replace(STANDARD, user_codes=True, guesses=1)
    with Mount(
        "sync", policy=policy, make=lambda core: Rfc8628(core, clients=lambda *_: True), judge=bench
    ) as mount:
        form = ("content-type", "application/x-www-form-urlencoded")
        begun = mount.endpoint.browser(
            Request("POST", "device_authorization", "", (form,), b"client_id=tv")
        )
        typed = {"code": read(begun)["user_code"]}
        for verb, status in (("look", 200), ("scan", 403), ("scan", 200), ("confirm", 200)):
            bench.rulings = {"scan": DENY()} if status == 403 else {}
            assert mount.phone(post(verb, typed, CREDENTIAL)).status == status
        assert bench.steps == ["look", "scan", "scan", "confirm"]


@row(45, 105, 111, 118)
@for_each_row(
    "browser, phone, status",
    [
        ("203.0.113.7", "203.0.113.7", 200),
        ("203.0.113.7", "203.0.113.8", 403),
        ("2001:db8::7", "2001:db8::abcd", 200),  # of one /64
        ("2001:db8::7", "2001:db8:0:1::7", 403),
        ("203.0.113.7", "", 403),
    ],
)
def test_a_judge_can_require_the_same_network(browser: str, phone: str, status: int) -> None:
    """The browser's address is the one that was sealed when it began."""
    describe = BrowserContext(proxies=1)

    def judge(scanned: Scanned, person: Person, request: Request) -> Ruling:
        of_phone = network_of(describe(request).get("address", ""))
        same = network_of(scanned.context.get("address", "")) == of_phone != ""
        return ALLOW if same else DENY()

    with Mount("sync", make=lambda core: Native(core, describe=describe), judge=judge) as mount:
        began = mount.browser(post("begin", {}, ("x-forwarded-for", browser)))
        code = {"code": read(began)["verification_uri_complete"]}
        via = [("x-forwarded-for", phone)] if phone else []
        for verb in JUDGED:
            assert mount.phone(post(verb, code, CREDENTIAL, *via)).status == status


def test_a_plain_judge_runs_beside_the_event_loop_and_an_async_one_in_it() -> None:
    """A plain one may block, and would stop every other request of the loop."""
    threads = list[int]()

    def plain(*_: object) -> Ruling:
        threads.append(threading.get_ident())
        return ALLOW

    async def awaited(*_: object) -> Ruling:
        return plain()

    for judge in (plain, awaited):
        with Mount("async", judge=judge) as mount:  # the loop runs in this thread
            assert reach(mount, "pending").phone("look").status == 200
    assert [each == threading.get_ident() for each in threads] == [False, True]


def test_an_async_judge_and_a_plain_one_are_both_a_judge() -> None:
    assert len(get_args(Judge)) == 2
    assert AsyncEndpoint.__init__.__annotations__["judge"] == Judge | None


@for_each_row(
    "url",
    [
        "/unlock",
        "/",
        "/a/b.c/?x=1&y=%20#part",
        "https://id.example.com",
        "https://id.example.com:8443/step?a=b",
    ],
)
def test_a_step_is_at_a_path_of_the_site_or_at_an_https_address(url: str) -> None:
    assert STEP_UP(url).url == url
    assert url not in repr(STEP_UP(url))


@for_each_row(
    "url",
    [
        *(
            "",
            "unlock",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/..//evil.example",
        ),
        *("/a/../b", "/a/%2e%2e//b", "/a//b", "/a\nb", "/a b", "/é", "/a\x00", "/a?b\\c", "/a?é"),
        *("http://id.example.com/", "HTTPS://id.example.com", "https://user@id.example.com/"),
        *(
            "https://id.example.com\\@evil.example",
            "https:/id.example.com",
            "https://",
            "https:///x",
        ),
        *("javascript:alert(1)", "data:text/html,x", "https://ïd.example.com", "/" + "a" * 500),
        None,
        7,
    ],
)
def test_every_other_address_is_refused_when_the_ruling_is_made(url: Any) -> None:
    with pytest.raises(BadArgument, match="STEP_UP takes"):
        STEP_UP(url)


def test_words_are_one_clean_line_of_text_that_is_not_too_long() -> None:
    assert DENY(" a\u200bb\r\n<b> ").words == "ab <b>"
    assert len(DENY("x" * 9_000).words.encode()) <= 600
    assert "secret" not in repr(DENY("secret"))
    with pytest.raises(BadArgument, match="must be text"):
        DENY(None)  # type: ignore[arg-type]


def test_without_a_judge_a_phone_costs_no_further_command() -> None:
    with Mount("sync") as mount:
        tab = reach(mount, "pending")
        before = len(mount.store.calls)
        assert tab.phone("look").status == 200
        assert len(mount.store.calls) == before + 1
    with Mount("sync", judge=Bench()) as mount:
        tab = reach(mount, "pending")
        before = len(mount.store.calls)
        assert tab.phone("look").status == 200
        assert len(mount.store.calls) == before + 1, "a look is read once"
