"""Records as a release writes them, in each state, with the codes that their people hold.

`python -m tests.stores.record_table` writes them to `format_N.json` for the format of this version,
once: never write a file again that a release had. `test_upgrade.py` reads all of them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from qrlogin import STANDARD, QRLogin
from qrlogin.reply_checks import RECORD_FORMAT
from qrlogin.step import Command, Record, Reply, step
from tests.application import KEY, URI

#: The year 2100: a real server must not delete a record as expired.
NOW: Final = 4_102_444_800_000
FOLDER: Final = Path(__file__).parent
OP: Final = "0123456789abcdef"


class OneRecord:
    """A store of one login."""

    def __init__(self) -> None:
        self.record: Record = {}

    def apply(self, command: Command) -> Reply:
        outcome = step(self.record, command, NOW)
        self.record = outcome.reply.record
        return outcome.reply

    def listen(self, login_id: str) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass


def made() -> Iterator[dict[str, Any]]:
    """A login in each state."""
    for state in ("pending", "scanned", "confirmed", "redeemed", "denied", "cancelled"):
        store = OneRecord()
        policy = replace(STANDARD, limits=None)  # allowances are records, too
        qr = QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=policy)
        begun, tag = qr.begin(context={"browser": "Firefox ✓"}), ""
        if state not in ("pending", "cancelled"):
            qr.scan(begun.scan_code, subject="alice", shown_as="A•••e")
        if state in ("confirmed", "redeemed"):
            qr.confirm(begun.scan_code, subject="alice", name="alice@example.com")
            seen = qr.status(begun.device_code).scanned_by
            assert seen is not None
            tag = seen.tag
        if state == "redeemed":
            qr.redeem(begun.device_code, acknowledged=tag, op=OP)
        if state == "denied":
            qr.deny(begun.scan_code, subject="alice")
        if state == "cancelled":
            qr.cancel(begun.device_code)
        yield {
            "state": state,
            "login_id": begun.login_id,
            "device_code": begun.device_code,
            "scan_code": begun.scan_code,
            "tag": tag,
            "record": dict(store.record),
        }


def kept() -> Mapping[str, list[dict[str, Any]]]:
    """The records of every release, by format."""
    return {
        path.stem.removeprefix("format_"): json.loads(path.read_text("utf-8"))
        for path in sorted(FOLDER.glob("format_*.json"))
    }


if __name__ == "__main__":
    path = FOLDER / f"format_{RECORD_FORMAT}.json"
    if path.exists():
        raise SystemExit(f"{path.name} is there already")
    path.write_text(json.dumps([*made()], ensure_ascii=False, indent=1) + "\n", "utf-8")
