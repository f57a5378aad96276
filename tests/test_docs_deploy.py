"""docs/deploy.md: its commands start servers that hold browsers, and its figures are measured."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest
import redis

from benchmarks import servers as bench
from qrlogin import QRLogin
from qrlogin.stores import RedisStore
from tests.servers import RedisServer, free_port
from tests.wire.clock import eventually
from tests.wire.mount import KEY, URI

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
(COMMANDS,) = [
    block.splitlines() for block in re.findall(r"^```sh\n(MAX.*?)^```", PAGE, re.DOTALL | re.M)
]
HELD = 20
PORT = {"gunicorn": "--bind 127.0.0.1:{}", "uvicorn": "--port {}", "granian": "--port {}"}


def figures_of(server: str) -> list[str]:
    """The cells of the row of this server in the first table."""
    (row,) = re.findall(rf"^\| {server} \|(.*)\|$", PAGE, re.M)
    return [cell.strip() for cell in row.split("|")]


@pytest.fixture(scope="module")
def with_granian(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which all servers are. granian has an environment of its own."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if not shutil.which("granian", path=path):
        folder = tmp_path_factory.mktemp("granian")
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "granian>=2"]
        subprocess.run(pip, check=True, timeout=200)
        path = os.pathsep.join([path, str(folder / "bin")])
    return path


@pytest.mark.matrix
@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_each_command_starts_workers_that_hold_browsers_and_answer_them_when_they_stop(
    command: str, tmp_path: Path, redis_url: str, with_granian: str
) -> None:
    for name, block in zip(
        ("site_wsgi", "site_asgi"),
        re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.M),
        strict=False,
    ):
        (tmp_path / f"{name}.py").write_text(block, "utf-8")
    port = free_port()
    option = next(option for name, option in PORT.items() if f" {name} " in command)
    process = subprocess.Popen(
        [
            "sh",
            "-c",
            f"export {command.partition(' ')[0]}; exec {command.partition(' ')[2]} "
            + option.format(port),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": with_granian,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
            "QRLOGIN_STORE": redis_url,
            "QRLOGIN_KEY": "b2b8m3wqmF8dVuG2m3Wc0oUJxjz4Iu2mbXcTzIYkF9s",
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: bench.answers(port))
        asyncio.run(held_until_the_server_stops(port, process))
    finally:
        process.kill()
        process.wait()


async def held_until_the_server_stops(port: int, process: "subprocess.Popen[bytes]") -> None:
    logins = [await bench.request(port, "POST", "qrlogin/begin") for _ in range(HELD)]
    began = time.monotonic()
    waiting = [
        await bench.opened(
            port,
            "GET",
            f"qrlogin/{login['login_id']}?after={login['version']}&wait=25",
            login["device_code"],
        )
        for login in logins
    ]
    first = [asyncio.ensure_future(bench.answer_of(reader)) for reader, _ in waiting]
    answered, _ = await asyncio.wait(first, timeout=3)
    assert not answered, f"{len(answered)} of {HELD} were not held"
    process.send_signal(signal.SIGTERM)
    answers = await asyncio.wait_for(asyncio.gather(*first), 15)
    assert [answer["state"] for answer in answers] == ["pending"] * HELD
    assert time.monotonic() - began < 24, "the server waited until the statuses ended by themselves"
    for _, writer in waiting:
        writer.close()


@pytest.mark.matrix
@pytest.mark.parametrize("name", bench.SERVERS)
def test_the_memory_of_a_waiting_browser_is_that_of_the_page(
    name: str, with_granian: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", with_granian)
    asked, kb, *_ = figures_of(name)
    found = bench.figures(name, 200)
    assert (found.held, found.retry_after) == (200, 2)
    assert int(asked) == bench.SERVERS[name].count
    documented = float(kb.removesuffix(" KB"))
    assert documented / 2.5 < found.kb < documented * 1.5


LOGINS = 50


def memory(server: redis.Redis) -> float:
    """Bytes of all records, for each login."""
    return sum(server.memory_usage(key) or 0 for key in server.scan_iter()) / LOGINS


def documented(text: str) -> int:
    """The number before this text in the table of Redis."""
    (number,) = re.findall(rf"(\d+) {text}", PAGE)
    return int(number)


def test_a_login_takes_the_memory_and_the_commands_of_redis_that_the_page_says(
    own_redis: RedisServer,
) -> None:
    server = redis.Redis.from_url(own_redis.url)
    with QRLogin(RedisStore.from_url(own_redis.url), secret_keys=[KEY], verification_uri=URI) as qr:
        context = {"browser": "Firefox", "system": "Linux"}
        begun = [qr.begin(context=context | {"address": f"10.0.0.{i}"}) for i in range(LOGINS)]
        in_kb = memory(server) / 1000
        assert 0.3 < in_kb < documented("KB, with the allowance of its address")
        for each in begun[1:]:
            qr.scan(each.verification_uri_complete, subject=each.login_id, shown_as="M")
            qr.confirm(each.scan_code, subject=each.login_id, name="maria@example.com")
        in_kb = memory(server) / 1000
        assert 0.6 < in_kb < documented("KB, with the allowances of its address and its account")

        longest = max(server.pttl(key) for key in server.scan_iter()) / 60_000
        assert 5 < longest <= documented("minutes after its last use")
        (record,) = server.scan_iter(f"*{begun[1].login_id}*")
        assert 5 < server.pttl(record) / 60_000 <= documented("minutes; an allowance")

        server.config_resetstat()
        last = qr.begin(context=context | {"address": "10.0.1.1"})
        qr.status(last.device_code)
        qr.scan(last.verification_uri_complete, subject="42", shown_as="M")
        qr.confirm(last.scan_code, subject="42", name="maria@example.com")
        seen = qr.status(last.device_code)
        assert seen.scanned_by
        qr.redeem(last.device_code, acknowledged=seen.scanned_by.tag)
        calls = server.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert calls <= documented(r"calls of scripts \(EVALSHA\)")
    server.close()


def test_the_page_has_a_row_for_each_server_that_the_benchmark_measures() -> None:
    rows = re.findall(r"^\| ([\w ]+) \| \d+ \| \d+ KB \|", PAGE, re.M)
    assert rows == list(bench.SERVERS)
    assert len(COMMANDS) == len(rows)
