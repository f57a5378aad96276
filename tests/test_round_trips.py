"""docs/protocol.md says how many commands each call takes. A command is one round trip."""

import re
from collections.abc import Callable
from pathlib import Path

from qrlogin import MemoryStore, Policy, QRLogin
from qrlogin.step import Command, Reply
from tests.application import ALICE, KEY, OTHER_KEY, SHOWN, URI

PAGE = Path(__file__).parent.parent / "docs" / "protocol.md"
FROM_AN_ADDRESS = {"address": "192.0.2.7"}


class CountingStore(MemoryStore):
    """Counts the commands."""

    def __init__(self) -> None:
        super().__init__()
        self.commands = 0

    def apply(self, command: Command) -> Reply:
        self.commands += 1
        return super().apply(command)


class Counted:
    """A login whose calls are counted, by the names that the page gives them."""

    def __init__(self, *keys: bytes, limits: bool = True) -> None:
        policy = Policy(user_codes=True) if limits else Policy(user_codes=True, limits=None)
        self.store = CountingStore()
        self.qr = QRLogin(self.store, secret_keys=keys, verification_uri=URI, policy=policy)

    def count(self, call: Callable[[], object]) -> int:
        before = self.store.commands
        call()
        return self.store.commands - before


def of_a_picture(counted: Counted) -> dict[str, int]:
    qr, count = counted.qr, counted.count
    numbers = {"`begin`, without an address": count(qr.begin)}
    numbers["`begin`"] = count(lambda: qr.begin(context=FROM_AN_ADDRESS))
    begun = qr.begin()
    code, device_code = begun.verification_uri_complete, begun.device_code
    numbers["`status`"] = count(lambda: qr.status(device_code))
    numbers["`land`"] = count(lambda: qr.land(code))
    numbers["`look`"] = count(lambda: qr.look(code, subject=ALICE))
    numbers["`scan`"] = count(lambda: qr.scan(code, subject=ALICE, shown_as=SHOWN[ALICE]))
    released = count(lambda: qr.release(code, subject=ALICE))
    qr.scan(code, subject=ALICE, shown_as=SHOWN[ALICE])
    confirmed = count(lambda: qr.confirm(code, subject=ALICE))
    assert released == confirmed == count(lambda: qr.outcome(code, subject=ALICE))
    numbers["`confirm`, `deny`, `release`, `outcome`"] = confirmed
    seen = qr.status(device_code).scanned_by
    assert seen
    core, device = qr.core, qr.core.read_device_code(device_code)
    in_session = core.redeem_in_session(device, ALICE, acknowledged=seen.tag, op="o" * 22)
    numbers["`redeem`"] = count(lambda: qr.redeem(device_code, acknowledged=seen.tag, op="o" * 22))
    numbers["`redeem`, checked against a session (`subject=` of `Native`)"] = count(
        lambda: qr.run(in_session)
    )
    numbers["`cancel`"] = count(lambda: qr.cancel(qr.begin().device_code)) - 1
    return numbers


def of_letters(counted: Counted) -> dict[str, int]:
    qr, count = counted.qr, counted.count
    numbers = {
        "`begin` with a user_code": count(lambda: qr.begin(user_code=True, context=FROM_AN_ADDRESS))
    }
    letters = qr.begin(user_code=True).user_code
    numbers["`look`, typed"] = count(lambda: qr.look(letters, subject=ALICE))
    numbers["`scan`, typed"] = count(lambda: qr.scan(letters, subject=ALICE, shown_as=SHOWN[ALICE]))
    numbers["`confirm`, `deny`, `release`, `outcome`, typed"] = count(
        lambda: qr.confirm(letters, subject=ALICE)
    )
    return numbers


def test_the_page_says_how_many_commands_each_call_takes() -> None:
    section = PAGE.read_text("utf-8").partition("## How many round trips")[2].partition("\n## ")[0]
    printed = {
        call: int(number)
        for call, number in re.findall(r"^\| (.+?) \| ([0-9]+) \|", section, re.MULTILINE)
    }
    assert printed == of_a_picture(Counted(KEY)) | of_letters(Counted(KEY))


def test_a_key_ring_of_two_costs_nothing_unless_a_code_is_typed() -> None:
    assert of_a_picture(Counted(KEY, OTHER_KEY)) == of_a_picture(Counted(KEY))


def test_without_limits_a_login_by_picture_takes_one_command_for_each_call() -> None:
    numbers = of_a_picture(Counted(KEY, limits=False))
    session = "`redeem`, checked against a session (`subject=` of `Native`)"
    assert numbers.pop(session) == 2
    assert set(numbers.values()) == {1}
