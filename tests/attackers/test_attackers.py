"""The attackers at small size: none gets in, and each gets in where a guard is removed.

`make attack` runs them at full size and prints the table.
"""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from qrlogin.answers import ScannedBy
from qrlogin.emitted import ForgedRecords
from tests.attackers import parsers, reader, sibling, writer
from tests.attackers.__main__ import ATTACKERS
from tests.attackers.score import Score
from tests.security_rows import row
from tests.wire.mount import ORIGIN


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.CRITICAL, "qrlogin")
    monkeypatch.setattr(ForgedRecords, "add", lambda *_: False)


def small(name: str, url: str = "") -> Score:
    attack, size, _ = ATTACKERS[name]
    return attack(size, url)


def assert_clean(score: Score) -> None:
    assert score.clean, (score.won, score.accepted, score.crashes, *score.failures)


@row(22)
def test_a_reader_of_redis_gets_no_login(redis_url: str) -> None:
    score = small("reader", redis_url)
    assert_clean(score)
    assert score.attempts >= 4000


@row(22)
@pytest.mark.parametrize("leaked", ["device_code", "scan_code"])
def test_the_reader_wins_if_the_store_holds_one_secret(leaked: str) -> None:
    """So a store that kept one would be found."""
    secret: Callable[[Any], list[str]] = lambda login: [getattr(login.begun, leaked)]  # noqa: E731
    assert reader.attack(2, leaked=secret).won >= 2


@row(24, 25, 440)
def test_a_writer_of_redis_gets_no_login_and_no_forgery_is_believed(redis_url: str) -> None:
    assert_clean(small("writer", redis_url))


@row(24)
@pytest.mark.parametrize("guard", ["check_begin_seal", "check_approval", "checked_scanner"])
def test_the_writer_wins_if_one_guard_is_removed(
    guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def believed(reply: Any, *_: object) -> ScannedBy | None:
        record = reply.record
        if guard == "checked_scanner":
            return ScannedBy(record.get("shown_as", ""), record.get("scanner_seal", ""))
        return None

    for module in ("reply_checks", "core"):
        monkeypatch.setattr(f"qrlogin.{module}.{guard}", believed, raising=False)
    score = writer.attack(3000)
    assert score.accepted + score.won > 0
    if guard == "check_approval":
        assert score.won > 0


@row(25, 57)
def test_a_writer_wins_by_the_fields_without_a_seal_exactly_what_the_docs_say() -> None:
    score = small("fields")
    assert_clean(score)
    won = writer.documented().items()
    wins = {", ".join(fields) for fields, what in won if not what.startswith("nothing")}
    assert score.exceptions.keys() == wins


def test_a_page_of_a_sibling_logs_no_visitor_in_in_any_browser() -> None:
    assert_clean(small("sibling"))


def test_the_same_page_on_the_site_itself_logs_in() -> None:
    """So the requests of the sibling are refused for where they come from."""
    assert sibling.attack(page=ORIGIN).won > 0


@row(29)
def test_every_parser_returns_or_raises_its_documented_error() -> None:
    score = small("parsers")
    assert_clean(score)
    assert len(parsers.parsers()) >= 60


def test_each_parser_accepts_the_genuine_texts_that_it_is_given() -> None:
    """Mutations of texts that fail at the first check would prove little."""
    for parser in parsers.parsers():
        accepted = 0
        for text in parser.genuine:
            try:
                parser.read(text)
            except parser.raises:
                continue
            accepted += 1
        assert accepted, parser.name


@row(29)
def test_mutated_requests_of_every_dialect_cause_no_crash() -> None:
    score = small("requests")
    assert_clean(score)
    # If every request failed the first check, it would prove little.
    assert {"200", "400", "403", "404", "redeemed"} <= score.reached.keys()
