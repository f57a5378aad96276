"""Who takes part: how each server is started, and what one login asks of it.

A flow plays both devices. `begin`, `poll` (which finds the login pending), `approve`, and the
request that collects. Every server gets the same kind of login: one pending poll, one approval.
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import bootstrap
import npm_parts

from benchmarks.machine import ROOT, Redis, Served, on_server_core, say, tree
from benchmarks.wire import Answer, Line, form, request
from tests.examples.running import DJANGO, FASTAPI, FLASK, Example, Running
from tests.examples.visitors import OfExamples, OfTheDemo, Visitor

PEERS = Path(__file__).parent / "peers"
PEERS_VENV = PEERS / ".venv"
#: Of all servers. Its environment is their own, and sees what is in .venv.
BIN = PEERS_VENV / "bin"
GUNICORN, UVICORN = BIN / "gunicorn", BIN / "uvicorn"
QUIET = "--log-level warning --no-access-log --backlog 16384 --port {port}"
GTHREAD = f"{GUNICORN} -k gthread --threads 16 --no-control-socket --bind 127.0.0.1:{{port}}"
GRANT = "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=tv&device_code="
AGENT = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"


class Refused(Exception):
    """A server answered another status than the flow expects."""


def expect(answer: Answer, *statuses: int) -> Answer:
    if answer.status not in statuses:
        raise Refused(f"{answer.status} {answer.body[:300]!r}")
    return answer


class Flow(Protocol):
    requests: int
    """How many requests one login is."""

    def begin(self, line: Line) -> Any: ...
    def poll(self, line: Line, login: Any) -> None: ...
    def approve(self, line: Line, login: Any) -> None: ...
    def collecting(self, login: Any) -> bytes: ...


def log_in(flow: Flow, line: Line) -> None:
    """One whole login. Raises `Refused` if the server does not log the browser in."""
    login = flow.begin(line)
    flow.poll(line, login)
    flow.approve(line, login)
    expect(line.ask(flow.collecting(login)), 200)


def lines(visitor: Visitor) -> str:
    """The headers that the page of this visitor sends with each POST."""
    jar = "; ".join(f"{name}={value}" for name, value in visitor.jar().items())
    kept = [f"{name}: {visitor.http.headers[name]}" for name in visitor.headers]
    kept += [f"{name}: {value}" for name, value in visitor.csrf.items()]
    return "".join(f"{line}\r\n" for line in [*kept, *([f"Cookie: {jar}"] if jar else [])])


@dataclass
class Ours:
    """The native dialect: begin, status, scan, confirm, status, redeem."""

    origin: str
    browser: str = ""
    """The headers that the login page sends beside its own cookie."""
    phone: str = ""
    """The headers of a phone that is signed in."""
    jar: str = ""
    requests: int = 6

    @classmethod
    def of(cls, origin: str, manner: OfExamples | OfTheDemo) -> "Ours":
        with manner.browser(origin) as desk, manner.phone(origin, "alice") as phone:
            jar = "; ".join(f"{name}={value}" for name, value in desk.jar().items())
            csrf = "".join(f"{name}: {value}\r\n" for name, value in desk.csrf.items())
            return cls(origin, csrf, lines(phone), f"{jar}; " if jar else "")

    def post(self, path: str, headers: str, **fields: str) -> bytes:
        page = f"Origin: {self.origin}\r\nSec-Fetch-Site: same-origin\r\n{AGENT}"
        return request("POST", f"/qrlogin/{path}", page + headers, json.dumps(fields))

    def begin(self, line: Line) -> dict[str, Any]:
        kept = f"Cookie: {self.jar}\r\n" if self.jar else ""
        answer = expect(line.ask(self.post("begin", self.browser + kept)), 201)
        cookie = f"Cookie: {self.jar}{answer.cookies}\r\n"
        return {**answer.json, "cookie": self.browser + cookie}

    def status(self, login: Any, query: str = "") -> bytes:
        headers = f"Sec-Fetch-Site: same-origin\r\n{AGENT}{login['cookie']}"
        return request("GET", f"/qrlogin/{login['login_id']}{query}", headers)

    def poll(self, line: Line, login: Any) -> None:
        answer = expect(line.ask(self.status(login, "?after=0")), 200)
        if answer.json["state"] != "pending":
            raise Refused(answer.body.decode())

    def scan(self, line: Line, login: Any) -> None:
        code = login["verification_uri_complete"]
        expect(line.ask(self.post("phone/scan", self.phone, code=code)), 200)

    def approve(self, line: Line, login: Any) -> None:
        self.scan(line, login)
        code = login["verification_uri_complete"]
        expect(line.ask(self.post("phone/confirm", self.phone, code=code)), 200)
        seen = expect(line.ask(self.status(login, "?after=0")), 200).json
        login["tag"] = seen["scanned_by"]["tag"]

    def collecting(self, login: Any) -> bytes:
        fields = {"acknowledged": login["tag"], "op": secrets.token_hex(16)}
        return self.post(f"{login['login_id']}/redeem", login["cookie"], **fields)


@dataclass
class OurDevices(Ours):
    """The dialect RFC 8628, which draws nothing: begin, poll, scan, confirm, poll."""

    begins: str = "/device_authorization"
    collects: str = "/token"
    requests: int = 5

    def begin(self, line: Line) -> Any:
        login = expect(line.ask(form(self.begins, "client_id=tv")), 200).json
        return {**login, "verification_uri_complete": login["user_code"]}

    def poll(self, line: Line, login: Any) -> None:
        expect(line.ask(self.collecting(login)), 400)

    def approve(self, line: Line, login: Any) -> None:
        code = login["user_code"]
        for verb in ("scan", "confirm"):
            expect(line.ask(self.post(f"phone/{verb}", self.phone, code=code)), 200)

    def collecting(self, login: Any) -> bytes:
        return form(self.collects, GRANT + login["device_code"])


@dataclass
class Tutorial:
    requests: int = 4

    def begin(self, line: Line) -> Any:
        return expect(line.ask(request("POST", "/begin")), 200).json["token"]

    def poll(self, line: Line, login: Any) -> None:
        expect(line.ask(self.collecting(login)), 200)

    def approve(self, line: Line, login: Any) -> None:
        expect(line.ask(request("POST", f"/approve?token={login}")), 200)

    def collecting(self, login: Any) -> bytes:
        return request("GET", f"/poll/{login}")


@dataclass
class Device:
    """A peer with the device grant of RFC 8628."""

    begins: str
    collects: str
    approves: str = "/approve?user_code="
    requests: int = 4

    def begin(self, line: Line) -> Any:
        return expect(line.ask(form(self.begins, "client_id=tv")), 200).json

    def poll(self, line: Line, login: Any) -> None:
        expect(line.ask(self.collecting(login)), 400)

    def approve(self, line: Line, login: Any) -> None:
        expect(line.ask(request("POST", self.approves + login["user_code"])), 200)

    def collecting(self, login: Any) -> bytes:
        return form(self.collects, GRANT + login["device_code"])


@dataclass
class BetterAuth:
    """better-auth: as the others, with JSON, and a person who looks before approving."""

    session: str
    requests: int = 5

    def begin(self, line: Line) -> Any:
        sent = request("POST", "/api/auth/device/code", "", json.dumps({"client_id": "tv"}))
        return expect(line.ask(sent), 200).json

    def poll(self, line: Line, login: Any) -> None:
        expect(line.ask(self.collecting(login)), 400)

    def approve(self, line: Line, login: Any) -> None:
        code = login["user_code"]
        page = f"/api/auth/device?user_code={code}"
        expect(line.ask(request("GET", page, self.session)), 200)
        body = json.dumps({"userCode": code})
        expect(line.ask(request("POST", "/api/auth/device/approve", self.session, body)), 200)

    def collecting(self, login: Any) -> bytes:
        body = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "client_id": "tv",
            "device_code": login["device_code"],
        }
        return request("POST", "/api/auth/device/token", "", json.dumps(body))


@dataclass
class Constant:
    """As many requests as a login of ours, all with a constant answer."""

    requests: int = 6

    def begin(self, line: Line) -> None:
        for method in ("POST", "GET", "POST", "POST", "GET"):
            body = "{}" if method == "POST" else ""
            expect(line.ask(request(method, "/", AGENT, body)), 200)

    def poll(self, line: Line, login: Any) -> None: ...
    def approve(self, line: Line, login: Any) -> None: ...
    def collecting(self, login: Any) -> bytes:
        return request("POST", "/", AGENT, "{}")


@dataclass
class Contestant:
    """A server that runs, and its flow."""

    name: str
    pids: list[int]
    port: int
    flow: Flow
    redis: str = ""
    """The address of its database; "" if it uses none."""
    polls: Flow | None = None
    """Its flow, if a pending poll is a request of its own."""
    line: Line = field(init=False)

    def __post_init__(self) -> None:
        self.line = Line(self.port)


Start = Callable[[ExitStack, Redis], Contestant]


def _served(
    stack: ExitStack, name: str, command: str, flow: Flow, redis: str = "", **env: str
) -> Contestant:
    page = env.pop("page", "/ready")
    served = stack.enter_context(Served(command, page=page, env={**env, "REDIS": redis}))
    has_polls = not isinstance(flow, Constant)
    return Contestant(name, served.pids, served.port, flow, redis, flow if has_polls else None)


def demo(stack: ExitStack, redis: Redis) -> Contestant:
    url = redis.url()
    command = f"{BIN}/python -m qrlogin demo --port {{port}} --store {url}"
    served = stack.enter_context(Served(command))
    flow = Ours.of(served.origin, OfTheDemo())
    return Contestant("the demo", served.pids, served.port, flow, url, flow)


def _ours(name: str, command: str, kind: type[Ours] = Ours) -> Start:
    """One of ours without a database, where any name is a phone."""

    def start(stack: ExitStack, redis: Redis) -> Contestant:
        url, page = redis.url(), "/qrlogin/qr-login-element.js"
        served = stack.enter_context(Served(command, page=page, env={"REDIS": url}))
        flow = kind(served.origin, phone="Authorization: Phone alice\r\n")
        return Contestant(name, served.pids, served.port, flow, url, flow)

    return start


def _example(example: Example, command: str) -> Start:
    """A whole site: accounts, sessions and their tables. It is not a peer of what has none."""
    name = f"the {example.name} example"

    def start(stack: ExitStack, redis: Redis) -> Contestant:
        url = redis.url()
        running = stack.enter_context(
            Running(example, start=on_server_core(command), QRLOGIN_STORE=url)
        )
        assert running.process is not None
        flow = Ours.of(running.origin, OfExamples(shared=False))
        return Contestant(name, tree(running.process.pid), running.port, flow, url, flow)

    return start


def tutorial(stack: ExitStack, redis: Redis) -> Contestant:
    command = f"{GTHREAD} benchmarks.peers.tutorial:app"
    return _served(stack, "the tutorial", command, Tutorial(), redis.url())


def oidc_provider(stack: ExitStack, redis: Redis) -> Contestant:
    flow = Device("/device/auth", "/token")
    return _served(stack, "oidc-provider", node_command("oidc.mjs"), flow)


def better_auth(stack: ExitStack, redis: Redis) -> Contestant:
    flow = BetterAuth("")
    made = _served(stack, "better-auth", node_command("better.mjs"), flow)
    person = {"name": "Alice", "email": "alice@example.com", "password": "a long passphrase 7"}
    origin = f"Origin: http://127.0.0.1:{made.port}\r\n"
    sent = request("POST", "/api/auth/sign-up/email", origin, json.dumps(person))
    token = expect(made.line.ask(sent), 200).json["token"]
    flow.session = f"{origin}Authorization: Bearer {token}\r\n"
    return made


def authlib(stack: ExitStack, redis: Redis) -> Contestant:
    command = f"{GTHREAD} benchmarks.peers.authlib_server:app"
    return _served(stack, "Authlib", command, Device("/device", "/token"), redis.url())


def django_oauth_toolkit(stack: ExitStack, redis: Redis) -> Contestant:
    folder = stack.enter_context(TemporaryDirectory(prefix="qrlogin-bench-"))
    command = f"{GTHREAD} benchmarks.peers.django_server:application"
    flow = Device("/o/device-authorization/", "/o/token/")
    database = str(Path(folder, "db.sqlite3"))
    return _served(stack, "django-oauth-toolkit", command, flow, DATABASE=database)


def _constant(name: str, command: str) -> Start:
    return lambda stack, redis: _served(stack, name, command, Constant(), page="/")


def node_command(file: str) -> str:
    program = npm_parts.node()
    if program is None:
        raise Refused("node is not installed")
    return f"{program} {PEERS / file} {{port}}"


_BARE = f"{UVICORN} {QUIET} --factory benchmarks.peers.bare:"
_MOUNTED = f"{GTHREAD} benchmarks.peers.mounted:"
OURS: dict[str, Start] = {
    "ours, bare ASGI": _ours("ours, bare ASGI", f"{_BARE}native"),
    "ours, FastAPI": _ours(
        "ours, FastAPI", f"{UVICORN} {QUIET} --factory benchmarks.peers.mounted:fastapi"
    ),
    "ours, Flask": _ours("ours, Flask", f"""{_MOUNTED}'flask("native")'"""),
    "ours, Django": _ours("ours, Django", f"""{_MOUNTED}'django("native")'"""),
    "ours, bare ASGI, no QR": _ours("ours, bare ASGI, no QR", f"{_BARE}devices", OurDevices),
    "ours, Flask, no QR": _ours(
        "ours, Flask, no QR", f"""{_MOUNTED}'flask("devices")'""", OurDevices
    ),
    "ours, Django, no QR": _ours(
        "ours, Django, no QR", f"""{_MOUNTED}'django("devices")'""", OurDevices
    ),
    "the demo": demo,
    "the FastAPI example": _example(FASTAPI, f"{UVICORN} {QUIET} app:app"),
    "the Flask example": _example(FLASK, f"{GUNICORN} --bind 127.0.0.1:{{port}} app:app"),
    "the Django example": _example(DJANGO, f"{GUNICORN} --bind 127.0.0.1:{{port}} config.wsgi"),
}
OTHERS: dict[str, Start] = {
    "the tutorial": tutorial,
    "oidc-provider": oidc_provider,
    "better-auth": better_auth,
    "Authlib": authlib,
    "django-oauth-toolkit": django_oauth_toolkit,
}
FLOORS: dict[str, Start] = {
    "null, uvicorn": _constant(
        "null, uvicorn", f"{UVICORN} {QUIET} benchmarks.peers.constant:asgi"
    ),
    "null, FastAPI": _constant(
        "null, FastAPI", f"{UVICORN} {QUIET} --factory benchmarks.peers.constant:fastapi"
    ),
    "null, Flask": _constant("null, Flask", f"{GTHREAD} 'benchmarks.peers.constant:flask()'"),
    "null, Django": _constant("null, Django", f"{GTHREAD} 'benchmarks.peers.constant:django()'"),
    "null, node": lambda stack, redis: _served(
        stack, "null, node", node_command("constant.mjs"), Constant(), page="/"
    ),
}
EVERY = {**OURS, **OTHERS, **FLOORS}


@contextmanager
def started(
    names: list[str], redis: Redis, absent: dict[str, str]
) -> Iterator[dict[str, Contestant]]:
    """The servers with these names. One that does not start gets its reason in `absent`."""
    with ExitStack() as stack:
        running = {}
        for name in names:
            say(f"  starting {name}")
            try:
                running[name] = EVERY[name](stack, redis)
                log_in(running[name].flow, running[name].line)
            except Exception as error:
                running.pop(name, None)
                reason = str(error).strip().splitlines() or [type(error).__name__]
                absent[name] = reason[-1][:200]
                say(f"  {name} does not take part: {absent[name]}")
        yield running


def install() -> dict[str, str]:
    """Installs the servers and the peers. Returns why, for each peer that could not be installed.

    Raises SystemExit if the servers cannot be installed.
    """
    absent = {}
    stamp, wanted = PEERS_VENV / "ready", "".join(path.read_text() for path in _REQUIREMENTS)
    if not stamp.exists() or stamp.read_text() != wanted:
        say("installing the servers and the Python peers")
        if failed := _make_venv():
            raise SystemExit(f"benchmarks: the servers cannot be installed: {failed}")
        if failed := _install(_REQUIREMENTS[1]):
            absent["Authlib"] = absent["django-oauth-toolkit"] = failed
        else:
            stamp.write_text(wanted)
    if npm_parts.main([PEERS]) or not npm_parts.ready(PEERS):
        absent["oidc-provider"] = absent["better-auth"] = "npm could not install it"
    return absent


_REQUIREMENTS = (PEERS / "servers.txt", PEERS / "requirements.txt")


def _make_venv() -> str:
    """Makes the environment of the servers. Returns what failed, or ""."""
    uv = bootstrap.install_uv(bootstrap.pip_command())
    made: list[str | Path] = [sys.executable, "-m", "venv", "--clear"]
    if uv:
        made = [uv, "venv", "--clear", "--python", sys.executable]
    if failed := _run([*made, PEERS_VENV]):
        return failed
    site = next(PEERS_VENV.glob("lib/python*/site-packages"))
    ours = next(bootstrap.VENV.glob("lib/python*/site-packages"))
    (site / "qrlogin-venv.pth").write_text(f"{ours}\n")
    return _install(_REQUIREMENTS[0])


def _install(requirements: Path) -> str:
    """Installs a requirements file. Returns what failed, or ""."""
    python = PEERS_VENV / "bin" / "python"
    uv = bootstrap.VENV / "bin" / "uv"
    pip: list[str | Path] = [python, "-m", "pip", "install"]
    if uv.exists():
        pip = [uv, "pip", "install", "--python", python]
    return _run([*pip, "-r", requirements])


def _run(command: Sequence[str | Path]) -> str:
    environment = bootstrap.uv_environment(bootstrap.pip_command())
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    return f"{done.stdout}{done.stderr}".strip()[-150:] if done.returncode else ""
