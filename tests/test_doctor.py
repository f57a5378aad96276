"""`python -m qrlogin doctor` says what is wrong with a store or a site, and what to do."""

import json
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from qrlogin import MemoryStore, QRLogin
from qrlogin.__main__ import main
from qrlogin.contrib.wsgi import qrlogin_app
from qrlogin.doctor import sites
from qrlogin.keys import _PUBLISHED_KEYS
from qrlogin.wire import Endpoint
from tests.servers import PostgresServer, RedisServer, free_port, redis_binary
from tests.stores.deployments import DEPLOYMENTS
from tests.tables import for_each_row
from tests.wire.sites import werkzeug_server

KEY = bytes(range(32))
Application = Callable[..., Any]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code, and what was printed, without line breaks."""
    code = main(["doctor", *words])
    return code, " ".join(capsys.readouterr().out.split())


@contextmanager
def served(port: int, app: Application) -> Iterator[None]:
    server = werkzeug_server(port, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_healthy_store_has_no_problem(
    capsys: pytest.CaptureFixture[str],
    own_redis: RedisServer,
    postgres_url: str,
    tmp_path: Path,
) -> None:
    with Redis.from_url(own_redis.url) as admin:
        admin.config_set("appendonly", "yes")
    file = f"sqlite:///{tmp_path}/logins.db"
    for address in (own_redis.url, postgres_url, file, file):  # the first look creates the file
        code, text = said(capsys, "--store", address)
        assert code == 0
        assert "0 problems, 0 warnings" in text
        assert "a whole login works" in text
        assert "the news of a scan arrives" in text


@pytest.mark.matrix
@pytest.mark.parametrize("where", DEPLOYMENTS)
def test_the_doctor_looks_at_every_deployment(
    capsys: pytest.CaptureFixture[str], where: str
) -> None:
    with DEPLOYMENTS[where]() as address:
        text = said(capsys, "--store", address)[1]
        assert "0 problems" in text, text
        assert "a whole login works" in text
        if where == "Cluster":
            assert "3 servers answer" in text
            node = address.replace("redis+cluster", "redis").partition(",")[0]
            assert "name the Cluster: redis+cluster://" in said(capsys, "--store", node)[1]


@for_each_row(
    "command, user, finding",
    [
        ("CONFIG SET maxmemory 50mb maxmemory-policy allkeys-lru", "", "policy is allkeys-lru"),
        ("CONFIG SET requirepass right", ":secret@", "the password or the user is wrong"),
        ("ACL SETUSER app on nopass ~qrlogin:* &* +@all -time", "app:x@", "may not run TIME"),
        (
            "ACL SETUSER app on nopass ~qrlogin:* &* +@all -subscribe",
            "app:x@",
            "the news of a scan does not arrive",
        ),
        ("ACL SETUSER app on nopass ~qrlogin:* +@all", "app:x@", "does the user of this address"),
        ("ACL SETUSER app on nopass ~other:* &* +@all", "app:x@", "NoPermissionError"),
    ],
)
def test_what_is_wrong_with_a_redis_is_said_with_what_to_do(
    capsys: pytest.CaptureFixture[str], command: str, user: str, finding: str
) -> None:
    with RedisServer(redis_binary()) as server:
        with Redis.from_url(server.url) as admin:
            admin.execute_command(*command.split())
        code, text = said(capsys, "--store", server.url.replace("//", f"//{user}"))
    assert code == 1
    assert finding in text
    assert "Fix: " in text
    assert "secret" not in text


def test_a_durability_that_the_server_cannot_serve_is_a_problem(
    capsys: pytest.CaptureFixture[str], own_redis: RedisServer
) -> None:
    for durability, findings in (
        (
            "wait(1,100)",
            ["needs 1 replica, and the server has 0", "0 of 1 replicas had"],
        ),
        ("aof(1,0,100)", ["needs an append-only file, and there is none"]),
        ("wait(0)", ["needs at least one replica"]),
    ):
        code, text = said(capsys, "--store", f"{own_redis.url}?durability={durability}")
        assert code == 1
        assert [each for each in findings if each not in text] == []


def test_a_store_that_cannot_be_reached_says_why(
    capsys: pytest.CaptureFixture[str],
    redis_url: str,
    own_postgres: PostgresServer,
    tmp_path: Path,
) -> None:
    nowhere = free_port()
    (tmp_path / "notes.txt").write_text("This is no database. " * 100)
    for address, finding in (
        (f"redis://u:secret@127.0.0.1:{nowhere}", "nothing listens there"),
        ("redis://u:secret@nowhere.invalid", "its host name is not known here"),
        (redis_url.replace("redis://", "rediss://"), "the server does not speak TLS"),
        (redis_url.replace("redis://", "redis+cluster://"), "this server is in no Cluster"),
        (
            f"redis+sentinel://u:secret@127.0.0.1:{nowhere}/logins",
            "no Sentinel answers, or none knows",
        ),
        (f"redis+cluster://u:secret@127.0.0.1:{nowhere}", "nothing listens there"),
        (f"postgresql://u:secret@127.0.0.1:{nowhere}/db", "nothing listens there"),
        ("postgresql://u:p@secret@127.0.0.1/db", "its host name is not known here"),
        (
            own_postgres.url.replace("qrlogin@", "nobody:secret@"),
            "its user or its database does not exist",
        ),
        (f"unix://{tmp_path}/no.sock", "check the path, and that this user may open it"),
        (f"sqlite:///{tmp_path}/notes.txt", "give qrlogin a file of its own, in a folder where"),
        ("mysql://u:secret@h/db", "a store is memory, or an address such as"),
    ):
        code, text = said(capsys, "--store", address)
        assert code == 1, address
        assert finding in text, address
        assert "secret" not in text


def site(origin: str, store: MemoryStore | None = None, **options: Any) -> Application:
    qr = QRLogin(store or MemoryStore(), secret_keys=[KEY], verification_uri=f"{origin}/qr")
    return qrlogin_app(Endpoint(qr, max_waiting=8), lambda _: None, lambda *_: None, **options)


def one_of_two(origin: str) -> Application:
    """Two workers, each with a memory of its own, which answer in turn."""
    workers, asked = [site(origin), site(origin)], iter(range(10**6))
    return lambda *arguments: workers[next(asked) % 2](*arguments)


def balanced(origin: str) -> Application:
    """Two workers, and a balancer whose own cookie keeps a browser at one of them."""
    workers, asked = [site(origin), site(origin)], iter(range(10**6))

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        kept = re.search("AWSALB=([01])", environ.get("HTTP_COOKIE", ""))
        worker = int(kept[1]) if kept else next(asked) % 2
        cookie = ("Set-Cookie", f"AWSALB={worker}; Path=/")
        return workers[worker](
            environ, lambda status, headers, *rest: start(status, [*headers, cookie], *rest)
        )

    return app


def impatient(origin: str) -> Application:
    """A proxy that ends held requests, and removes a header of answers."""
    inner = site(origin)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        if "wait=" in environ["QUERY_STRING"]:
            start("504 Gateway Timeout", [("Content-Length", "0")])
            return [b""]
        return inner(
            environ,
            lambda status, headers, *rest: start(
                status, [each for each in headers if each[0] != "Cache-Control"], *rest
            ),
        )

    return app


@for_each_row(
    "make, findings",
    [
        (site, ["held for", "knew the login", "arrives at once", "0 problems"]),
        (balanced, ["cookie: HttpOnly, SameSite", "knew the login", "held for", "0 problems"]),
        (one_of_two, ["several processes have a store or a secret key each"]),
        (
            impatient,
            ["ends a held request with 504", "max_hold=", "no-store was removed"],
        ),
        (
            lambda origin: site(origin.replace("127.0.0.1", "localhost")),
            ["begin is answered 403", "compare its QRLOGIN_ORIGIN"],
        ),
        (
            lambda origin: lambda environ, start: [start("404 Not Found", []), b""][1:],
            ["give the address of the mount"],
        ),
    ],
)
def test_a_running_site_is_looked_at_as_its_browsers_meet_it(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[str], Application],
    findings: list[str],
) -> None:
    monkeypatch.setattr(sites, "HOLD_SECONDS", 1)
    port = free_port()
    with served(port, make(f"http://127.0.0.1:{port}")):
        code, text = said(capsys, "--url", f"http://127.0.0.1:{port}/")
    assert [each for each in findings if each not in text] == []
    assert code == (0 if "0 problems" in text else 1)


@for_each_row(
    "policy, code, finding",
    [
        ("Policy()", 0, "a login ends after 340 s at most 0 problems, 0 warnings"),
        ("STRICT", 0, "a code is shown for 60 s"),
        ("Policy(lifetime=60, rotation=60)", 0, "a photograph of it can be scanned"),
        ("Policy(names_scanner=False)", 0, "Fix: set names_scanner=True"),
        ("Policy(limits=None)", 0, "one address may begin any number of logins"),
        ("Policy(user_codes=True, guesses=20)", 0, "may type 20 wrong codes in 600 s"),
        ("Policy(plain_http=True)", 1, "without TLS"),
    ],
)
def test_what_a_policy_allows_is_said(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    policy: str,
    code: int,
    finding: str,
) -> None:
    module = f"shop_{zlib.crc32(policy.encode())}"
    scheme = "http" if "plain_http" in policy else "https"
    (tmp_path / f"{module}.py").write_text(
        "from qrlogin import *\n"
        f"options = dict(secret_keys=[bytes(range(32))], policy={policy})\n"
        f"uri = '{scheme}://shop.example/qr'\n"
        "def make(): return QRLogin(MemoryStore(), verification_uri=uri, **options)\n"
        "class Settings: qr = make()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("make", "Settings.qr"):
        found, text = said(capsys, "--login", f"{module}:{name}")
        assert found == code
        assert finding in text


def test_an_application_that_cannot_be_imported_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_shop.py").write_text("raise ValueError('the password is secret')")
    monkeypatch.syspath_prepend(tmp_path)
    for place, finding in (
        ("shop", "give MODULE:NAME"),
        ("broken_shop:qr", "cannot be imported (ValueError)"),
        ("no_such_shop:qr", "cannot be imported (ModuleNotFoundError)"),
        ("json:no_such_name", "cannot be imported (AttributeError)"),
        ("json:__name__", "is a str"),
    ):
        code, text = said(capsys, "--login", place)
        assert code == 1
        assert finding in text
        assert "secret" not in text


def test_a_deploy_script_reads_json_and_the_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRLOGIN_SECRET_KEYS", "short")
    assert main(["doctor", "--store", "memory", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["exit_status"] == 1
    assert [each["level"] for each in report["findings"]] == ["problem", "warning"]
    assert report["findings"][0]["fix"] == "make one with: python -m qrlogin keygen"
    assert "Make one" not in report["findings"][0]["seen"]
    assert "short" not in re.sub("too short", "", json.dumps(report))


def test_without_anything_to_look_at_it_says_what_to_give(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == 2
    assert "give --store, --url or --login" in capsys.readouterr().err


def test_a_key_that_was_published_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRLOGIN_SECRET_KEYS", _PUBLISHED_KEYS[0])
    code, text = said(capsys)
    assert code == 1
    assert "this secret key is printed in qrlogin's documentation" in text
    assert _PUBLISHED_KEYS[0] not in text


def test_an_address_with_a_password_or_a_hostile_answer_prints_neither(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for url in ("https://user:secret@127.0.0.1/", "http://[::1", "ftp://x"):
        code, text = said(capsys, "--url", url)
        assert code == 1
        assert "no address of a mount" in text
        assert "secret" not in text
    port = free_port()

    def hostile(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("400 Bad Request", [("Content-Type", "application/json")])
        return [json.dumps({"error": "\x1b]0;owned\x07\x1b[2J"}).encode()]

    with served(port, hostile):
        main(["doctor", "--url", f"http://127.0.0.1:{port}/"])
    printed = capsys.readouterr().out
    assert "begin is answered 400" in printed
    assert "\x1b" not in printed


def test_a_request_without_an_answer_leaves_no_connection_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        site = sites._Site(f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises(TimeoutError) as kept:  # it keeps the frames, and what they hold
            site.open("GET", "x/events", 0.2)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(10)
            while peer.recv(4096):
                pass
        assert isinstance(kept.value, TimeoutError)
