"""How commands are spelled for Redis."""

import json
from dataclasses import replace
from typing import Any

from qrlogin.step import Command
from qrlogin.stores.redis_calls import RedisCalls
from qrlogin.table import TABLE


def test_rows_with_the_same_name_are_not_confused() -> None:
    """The JSON of a row is cached by the row's name."""
    calls = RedisCalls("p:", None)
    for row in (TABLE["scan"], replace(TABLE["scan"], guards=()), TABLE["scan"]):
        arguments: Any = calls.arguments(Command("id", row, "mark"))
        assert tuple(json.loads(arguments[2])["row"]["guards"]) == row.guards
