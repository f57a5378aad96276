"""How commands are spelled for Redis."""

from dataclasses import replace

import pytest

from qrlogin.errors import Unavailable
from qrlogin.step import Command
from qrlogin.stores.redis_calls import RedisCalls, read_reply
from qrlogin.stores.redis_script import RowScripts
from qrlogin.table import TABLE
from tests.cases import ROWS


def test_rows_with_the_same_name_are_not_confused() -> None:
    """The script of a row is cached by the row's name."""
    calls = RedisCalls("p:", None)
    for row in (TABLE["scan"], replace(TABLE["scan"], guards=()), TABLE["scan"]):
        assert calls.script(Command("id", row, "mark")) == RowScripts.of(row).under_way


def test_each_row_has_one_script_that_names_it_for_all_processes() -> None:
    """So a server keeps as many scripts as there are rows, and needs no other name for them."""
    shas = [RowScripts.of(row).under_way.sha for row in ROWS]
    assert shas == [RowScripts.of(replace(row)).under_way.sha for row in ROWS]
    assert len({*shas}) == len(shas)


def test_no_place_of_the_script_is_left_empty() -> None:
    for row in ROWS:
        assert "-- <" not in RowScripts.of(row).under_way.text


def test_a_reply_that_no_script_gives_is_unavailable() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    record = '["id","m","applied","1",%s]'
    for raw in (None, b"", b"\xff", "{}", "[]", "5", deep, record % "[]", record % '{"a":1}'):
        with pytest.raises(Unavailable):
            read_reply(raw)
    assert read_reply(record % '{"a":"1"}').record == {"a": "1"}
