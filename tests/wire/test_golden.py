"""The native dialect answers in both colours exactly as `golden.txt` says."""

import re

from qrlogin.table import State
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import ALICE, BOB, ELEMENT, HISTORIES, Mount, get, reach, read
from tests.wire.transcript import GOLDEN, transcript


@row(38, 415, 421, 457)
def test_every_route_in_every_state_answers_as_in_the_golden_file(mount: Mount) -> None:
    assert list(transcript(mount)) == GOLDEN.read_text().splitlines()


def test_the_golden_file_has_every_state() -> None:
    written = GOLDEN.read_text()
    assert set(re.findall(r'"state":"(\w+)"', written)) == set(State)
    assert set(re.findall(r"^== (.*)", written, re.MULTILINE)) == {
        *("begin", "judge", "a match code", "methods"),
        *HISTORIES,
    }


@row(56, 419)
@for_each_row("history", HISTORIES)
def test_a_get_changes_nothing(mount: Mount, history: str) -> None:
    tab = reach(mount, history)
    tab.look()  # the next call drops expired records
    before = mount.records
    for path in (tab.login_id, f"{tab.login_id}/qr.svg", f"{tab.login_id}/qr.png", ELEMENT):
        tab.send(get(path))
    tab.look(f"after={read(tab.look()).get('version', 0) + 1}&wait=25")  # news, so it is not held
    for verb in ("look", "outcome"):  # the two POSTs that only read
        for person in (ALICE, BOB):
            tab.phone(verb, person)
    assert mount.records == before


def test_a_held_get_changes_nothing_and_ends_when_the_code_rotates(mount: Mount) -> None:
    tab = reach(mount, "pending")
    mount.clock.advance(17.999)
    before = mount.records
    assert read(tab.look())["rotates_in"] == 1
    assert read(tab.look("after=1&wait=25"))["state"] == "pending"  # 25 s would outlast the code
    assert mount.records == before
