"""How many instructions the pure parts execute: figures that no load of a machine changes.

    python -m benchmarks.counts            what differs from benchmarks/counts.json; 1 if one grew
    python -m benchmarks.counts --renew    writes benchmarks/counts.json

It counts the bytecode instructions that Python executes, and the calls of functions written in C,
which do the work that bytecode does not show. Both are exact for one minor version of Python and
the versions in constraints.txt; another version has figures of its own. Nothing but Python is
needed. Hashes are not random: the program starts itself again with PYTHONHASHSEED=0.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from qrlogin import STANDARD, QRLogin
from qrlogin.codes import Codes, new_login_id
from qrlogin.render import matrix_path
from qrlogin.step import Command, Record, Reply, step
from qrlogin.wire import BrowserContext, Endpoint, Native, Person, Request, Response

FILE = Path(__file__).with_name("counts.json")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
#: A part may execute this much more than its recorded figure.
MAY_GROW = 1.10
KEY = bytes(range(32))
ORIGIN = "https://login.example.com"
TEXT = f"{ORIGIN}/qr/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
JSON = ("content-type", "application/json")
Counts = dict[str, dict[str, int]]


class Records:
    """What a store does at least: `step` on a record in a dict. Its clock is a number."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._now = 1_800_000_000_000

    def apply(self, command: Command) -> Reply:
        self._now += 1
        outcome = step(self._records.get(command.login_id, {}), command, self._now)
        if outcome.changes:
            self._records[command.login_id] = outcome.reply.record
        return outcome.reply

    def listen(self, login_id: str) -> Any:
        raise NotImplementedError("nothing waits here")

    def close(self) -> None:
        """Nothing is open."""


def parts() -> dict[str, Callable[[], object]]:
    """Each part, as a call that can be repeated in this order: one login after the other."""
    records = Records()
    qr = QRLogin(records, secret_keys=[KEY], verification_uri=f"{ORIGIN}/qr", policy=STANDARD)
    served = Endpoint(qr, Native(qr.core, describe=BrowserContext()), max_waiting=8)
    codes = Codes([KEY], verification_uri=f"{ORIGIN}/qr", audience=None, plain_http=False)
    describe = BrowserContext()
    kept: dict[str, Any] = {"number": 0, "login": new_login_id()}

    def begin() -> None:
        kept["begun"] = qr.begin()

    def redeem() -> None:
        tag = kept["seen"].scanned_by.tag
        qr.redeem(kept["begun"].device_code, acknowledged=tag)

    def make_code() -> None:
        code = codes.rotating_code(codes.signing_key, kept["login"], 1_900_000_000_000)
        kept["code"] = code

    def draw() -> None:
        kept["number"] += 1  # a text that was not drawn before
        matrix_path(f"{TEXT}{kept['number']}")

    def read_agent() -> object:
        kept["number"] += 1  # one that was not read before
        agent = f"{AGENT} {kept['number']:06}"
        return describe(Request("POST", "begin", headers=(("user-agent", agent),)))

    def ask(name: str, method: str, path: str, **fields: str) -> Callable[[], Response]:
        def send() -> Response:
            login = kept.get("page", {})
            body = {field: login[key] for field, key in fields.items()} if fields else {}
            if method == "POST" and path == "begin":
                body = {"deliver": "body"}
            bearer = "Bearer of a phone"
            if name not in ("begin", "phone"):
                bearer = f"Bearer {login['device_code']}"
            sent = json.dumps(body).encode() if method == "POST" else b""
            headers = (("authorization", bearer), *([JSON] if sent else []))
            asked = Request(method, path.format(**login), headers=headers, body=sent)
            who = Person("1", name="alice@example.com")
            answer = served.phone(asked, who) if name == "phone" else served.browser(asked)
            if answer.status >= 300:
                raise RuntimeError(f"{path}: {answer.status} {answer.body!r}")
            kept["answer"] = answer
            return answer

        return send

    def keep(send: Callable[[], Response]) -> Callable[[], None]:
        def call() -> None:
            answer = json.loads(send().body)
            kept["page"] = {**kept.get("page", {}), **answer, "op": "op-0123456789abcdef"}
            kept["page"]["tag"] = answer.get("scanned_by", {}).get("tag", "")

        return call

    return {
        "core: begin": begin,
        "core: status": lambda: qr.status(kept["begun"].device_code),
        "core: scan": lambda: qr.scan(kept["begun"].scan_code, subject="1", shown_as="A•••e"),
        "core: confirm": lambda: qr.confirm(
            kept["begun"].scan_code, subject="1", name="alice@example.com"
        ),
        "core: status, confirmed": lambda: kept.update(seen=qr.status(kept["begun"].device_code)),
        "core: redeem": redeem,
        "codes: make": make_code,
        "codes: read": lambda: codes.read_scan_code(kept["code"]),
        "render: matrix and path": draw,
        "wire: user agent": read_agent,
        "native: begin": keep(ask("begin", "POST", "begin")),
        "native: status": ask("status", "GET", "{login_id}"),
        "native: scan": ask("phone", "POST", "scan", code="verification_uri_complete"),
        "native: confirm": ask("phone", "POST", "confirm", code="verification_uri_complete"),
        "native: status, confirmed": keep(ask("status", "GET", "{login_id}")),
        "native: redeem": ask("redeem", "POST", "{login_id}/redeem", acknowledged="tag", op="op"),
    }


def instructions(call: Callable[[], object]) -> int:
    """How many bytecode instructions this call executes."""
    executed = 0

    def local(frame: FrameType, event: str, _: object) -> Any:
        nonlocal executed
        executed += event == "opcode"
        return local

    def enter(frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return local

    sys.settrace(enter)
    try:
        call()
    finally:
        sys.settrace(None)
    return executed


def calls_of_c(call: Callable[[], object]) -> int:
    """How many functions written in C this call calls."""
    called = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal called
        called += event == "c_call"

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return called


def counted() -> Counts:
    """Both counts of every part. The first two logins warm what is cached."""
    each = parts()
    for _ in range(2):
        for call in each.values():
            call()
    executed = {name: instructions(call) for name, call in each.items()}
    called = {name: calls_of_c(call) for name, call in each.items()}
    return {name: {"instructions": executed[name], "calls_of_c": called[name]} for name in each}


def grown(found: Counts, recorded: Counts) -> list[str]:
    """A line for each part that executes more than it may, and for each without a figure."""
    lines = []
    for name, counts in found.items():
        if name not in recorded:
            lines.append(f"{name}: has no recorded figure")
            continue
        for kind, count in counts.items():
            allowed = recorded[name][kind]
            if count > allowed * MAY_GROW:
                more = f"{count} where {allowed} are recorded ({count / allowed - 1:+.0%})"
                lines.append(f"{name}: {kind.replace('_', ' ')}: {more}")
    return lines


def recorded() -> dict[str, Counts]:
    """The recorded figures, by the minor version of Python."""
    found: dict[str, Counts] = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    return found


def main(arguments: list[str]) -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        again = [sys.executable, "-m", "benchmarks.counts", *arguments]
        os.execve(sys.executable, again, {**os.environ, "PYTHONHASHSEED": "0"})
    found, figures = counted(), recorded()
    if "--renew" in arguments:
        FILE.write_text(json.dumps({**figures, VERSION: found}, indent=1) + "\n", "utf-8")
        return 0
    if VERSION not in figures:
        print(f"no figures are recorded for Python {VERSION}: python -m benchmarks.counts --renew")
        return 3
    for name, counts in found.items():
        old = figures[VERSION].get(name, {})
        print(
            f"{name:28}", *(f"{count:8} ({old.get(kind, 0):6})" for kind, count in counts.items())
        )
    lines = grown(found, figures[VERSION])
    if lines:
        print("\nThese execute more than 10 % above their figure. If that is worth it, renew them:")
        print("python -m benchmarks.counts --renew")
    print(*lines, sep="\n")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
