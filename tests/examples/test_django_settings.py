"""The Django example without a server: checks, environment, secrets, template tags and CSRF.

One process runs all cases (inside_django.py). Commands run in processes of their own.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qrlogin.browser import version
from tests.examples.running import EXAMPLES, LEFT_OUT, surroundings
from tests.security_rows import row

SITE = EXAMPLES / "django_site"
INSIDE = Path(__file__).parent / "inside_django.py"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
EVIL = '"><script>alert(1)</script>'
REDIS = {"STORE": "redis://127.0.0.1/0"}

CHECKS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"QRLOGIN": []}, ["E001"]),
    ({"QRLOGIN": [], "deploy": True}, ["E001"]),
    ({"QRLOGIN": {"SECRET_KEY": "misspelled"}}, ["E001"]),
    ({"QRLOGIN": {"SECRET_KEYS": None}}, ["E002"]),
    ({"QRLOGIN": {"SECRET_KEYS": []}}, ["E002"]),
    ({"QRLOGIN": {"SECRET_KEYS": KEY}}, ["E002"]),
    ({"QRLOGIN": {"SECRET_KEYS": ["short"]}}, ["E002"]),
    ({"QRLOGIN": {"VERIFICATION_URI": None}}, ["E003"]),
    ({"QRLOGIN": {"VERIFICATION_URI": "/qr"}}, ["E003"]),
    ({"QRLOGIN": {"VERIFICATION_URI": "http://example.com/qr"}}, ["E003"]),
    ({"QRLOGIN": {"STORE": "localhost:6379"}}, ["E004"]),
    ({"QRLOGIN": {"STORE": "redis://localhost:port"}}, ["E004"]),
    ({"QRLOGIN": {"MAX_WAITING": 0}}, []),  # a server with one thread
    ({"QRLOGIN": {"MAX_WAITING": -1}}, ["E005"]),
    ({"QRLOGIN": {"MAX_WAITING": "8"}}, ["E005"]),
    ({"QRLOGIN": {"MAX_WAITING": True}}, ["E005"]),
    ({"QRLOGIN": {"USER_CODES": "no"}}, ["E005"]),
    ({"QRLOGIN": {"LIFETIME": 601}}, ["E005"]),
    ({"QRLOGIN": {"MAX_HOLD": 26}}, ["E005"]),
    ({"QRLOGIN": {"ORIGINS": "https://app.example.com"}}, ["E005"]),
    ({"QRLOGIN": {"ORIGINS": ["*"]}}, ["E005"]),
    ({"QRLOGIN": {"POLICY": "qrlogin.QRLogin"}}, ["E005"]),
    ({"QRLOGIN": {"POLICY": "qrlogin.STRICT", "ORIGINS": ["capacitor://localhost"]}}, []),
    ({"QRLOGIN": {"LIFETIME": "120"}}, ["E005"]),
    ({"QRLOGIN": {"PERSON": "nowhere.to_be_found"}}, ["E006"]),
    ({"QRLOGIN": {"LOG_IN": "qrlogin_django.conf.KEYS"}}, ["E006"]),
    ({"QRLOGIN": {"ON_EVENT": "no.such.function"}}, ["E006"]),
    ({"QRLOGIN": {"DESCRIBE": 7}}, ["E006"]),
    ({"QRLOGIN": {"JUDGE": 7}}, ["E006"]),
    ({"QRLOGIN": {"JUDGE": "asyncio.sleep"}}, ["E006"]),  # an async function
    ({"QRLOGIN": {"PAUSED": 7}}, ["E006"]),
    ({"QRLOGIN": {"PAUSED": "asyncio.sleep"}}, ["E006"]),
    ({"QRLOGIN": {"PROXIES": -1}}, ["E005"]),
    ({"QRLOGIN": {"PROXIES": 1}}, []),
    ({"QRLOGIN": {"SECRET_KEYS": [], "STORE": ""}}, ["E002", "E004"]),
    ({"without": "SessionMiddleware"}, ["E007"]),
    ({"without": "AuthenticationMiddleware"}, ["E007"]),
    ({"without": "CsrfViewMiddleware"}, ["E007"]),
    ({"QRLOGIN": {"VERIFICATION_URI": "http://127.0.0.1:8000/elsewhere"}}, ["E008", "E008"]),
    (
        {"QRLOGIN": {"VERIFICATION_URI": "http://127.0.0.1:8000/login"}},
        ["E008"],
    ),  # no view for the URL with a code
    ({"QRLOGIN": {"VERIFICATION_URI": "https://example.com/qr"}}, ["E009", "W001"]),
    (
        {
            "QRLOGIN": {"VERIFICATION_URI": "https://example.com/qr"},
            "ALLOWED_HOSTS": ["example.com"],
        },
        ["W001"],
    ),
    ({"QRLOGIN": {"VERIFICATION_URI": "https://[::1]/qr"}, "ALLOWED_HOSTS": ["[::1]"]}, ["W001"]),
    ({"WEB_CONCURRENCY": "2"}, ["W002"]),
    ({"WEB_CONCURRENCY": "2", "QRLOGIN": REDIS}, []),
    ({"deploy": True}, ["W003"]),
    ({"deploy": True, "QRLOGIN": REDIS}, []),
]
STARTS: list[tuple[dict[str, Any], str]] = [
    ({"argv": "uvicorn config.asgi:application"}, ""),
    ({"argv": "uvicorn --workers 2 config.asgi:application"}, "2"),
    ({"argv": "gunicorn --workers=3 config.wsgi"}, "3"),
    ({"argv": "gunicorn -w4 config.wsgi"}, "4"),
    (
        {
            "argv": "gunicorn -w 1 --worker-class gthread config.wsgi",
            "environ": {"GUNICORN_CMD_ARGS": "--workers 2"},
        },
        "",
    ),
    ({"argv": "gunicorn config.wsgi", "environ": {"GUNICORN_CMD_ARGS": "-w 2"}}, "2"),
    (
        {
            "argv": "gunicorn config.wsgi",
            "environ": {"WEB_CONCURRENCY": "5"},
            "loaded": ["gunicorn"],
        },
        "5",
    ),
    (
        {"argv": "daphne config.asgi:application", "environ": {"WEB_CONCURRENCY": "5"}},
        "",
    ),  # does not read it
    ({"argv": "uvicorn --workers 2 config.asgi:application", "settings": {"QRLOGIN": REDIS}}, ""),
]
TAGS = [
    {"name": EVIL, "next": f"/{EVIL}", "site": EVIL},
    {"name": "alice", "next": "/basket?a=1&b=2", "site": "Shop & Co"},
]
OWN = ["/", "/qr", "/qr/abc.DEF-_=", "/qr?user_code=BCDF-GHJK", "/a/b?c=d&e=f"]
NOT_OWN = [
    "",
    "qr",
    "//evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "https://evil.example",
    "https:evil.example",
]
NOT_OWN += [
    "javascript:alert(1)",
    "/\t/evil.example",
    "/a//b",
    "/qr\n",
    "/a?b=c#d",
    "/%2f%2fevil.example",
    f"/{EVIL}",
]
FORMS = ["/login", "/signup", "/logout"]
AS_JSON = [
    *(f"/qrlogin/phone/{verb}" for verb in ("scan", "confirm", "deny", "release")),
    "/qrlogin/id/redeem",
]
AS_JSON += ["/qrlogin//id/redeem", "/qrlogin/%2Fid/redeem"]
SETTINGS_ERRORS = [
    ({"QRLOGIN_ORIGIN": "example.com"}, "QRLOGIN_ORIGIN must be what browsers call this site"),
    (
        {"QRLOGIN_ORIGIN": "https://example.com/shop"},
        "QRLOGIN_ORIGIN must be what browsers call this site",
    ),
    ({"QRLOGIN_ORIGIN": "https://example.com/"}, ""),
    ({"QRLOGIN_MAX_WAITING": "many"}, "QRLOGIN_MAX_WAITING is a whole number"),
    ({"QRLOGIN_MAX_WAITING": "0"}, ""),
    ({"QRLOGIN_MAX_WAITING": "-1"}, "QRLOGIN_MAX_WAITING is a whole number from 0 to 999999"),
    ({"QRLOGIN_LIFETIME": "-1"}, "QRLOGIN_LIFETIME is a whole number"),
    ({"QRLOGIN_LIFETIME": "0"}, "QRLOGIN_LIFETIME is a whole number from 1 to 999999"),
    ({"QRLOGIN_DATABASE": "postgres://localhost/shop"}, "DATABASES in settings.py"),
    ({"QRLOGIN_PROXIES": "1"}, ""),
    ({"QRLOGIN_PROXIES": "one"}, "QRLOGIN_PROXIES is a whole number from 0 to 999999"),
    ({"QRLOGIN_CLIENTS": "tv"}, "QRLOGIN_CLIENTS: write client_id=Name of the client"),
    (
        {"QRLOGIN_DIALECTS": "all", "QRLOGIN_ORIGIN": "https://example.com"},
        "QRLOGIN_CLIENTS: list the clients of RFC 8628",
    ),
    ({"QRLOGIN_DIALECTS": "weechat"}, "QRLOGIN_DIALECTS: there is no 'weechat'; there are wechat"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, not started yet."""
    return Path(
        shutil.copytree(SITE, tmp_path_factory.mktemp("django") / "django_site", ignore=LEFT_OUT)
    )


@pytest.fixture(scope="module")
def inside(folder: Path) -> dict[str, Any]:
    """The results of inside_django.py."""
    cases = {
        "checks": [case for case, _ in CHECKS],
        "started": [case for case, _ in STARTS],
        "tags": TAGS,
        "local_path": OWN + NOT_OWN,
        "forged": FORMS + AS_JSON,
        "judged": [False, True],
        "overtaken": ["alice"],
        "settings_error": [case for case, _ in SETTINGS_ERRORS],
    }
    done = run(folder, sys.executable, "-W", "error", str(INSIDE), stdin=json.dumps(cases))
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def run(
    folder: Path, *command: str, stdin: str = "", **env: str
) -> "subprocess.CompletedProcess[str]":
    environment = {**surroundings(), **env}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def manage(folder: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Runs manage.py, with every warning an error."""
    return run(folder, sys.executable, "-W", "error", "manage.py", *words, **env)


# Settings


def test_each_wrong_setting_fails_its_system_check(inside: dict[str, Any]) -> None:
    for (case, numbers), found in zip(CHECKS, inside["checks"], strict=True):
        assert [one.split()[0] for one in found] == [f"qrlogin.{number}" for number in numbers], (
            case,
            found,
        )
        assert not any(KEY in one or "misspelled" in one for one in found)


def test_plain_functions_in_the_setting_work_under_wsgi_and_asgi(inside: dict[str, Any]) -> None:
    one = [403, "closed", "WeChat", "denied_by_site", "paused", True, ["begun"]]
    assert inside["judged"] == [one] * 2


def test_a_redeem_that_overtakes_the_same_redeem_gets_a_whole_session(
    inside: dict[str, Any],
) -> None:
    assert inside["overtaken"] == ["1"]


def test_a_wrong_setting_stops_every_command_and_every_server(folder: Path) -> None:
    wrong = {"QRLOGIN_STORE": "localhost:6379"}
    for words in (["migrate"], ["runserver", "--noreload", "0"]):
        done = manage(folder, *words, **wrong)
        assert done.returncode == 1, words
        assert (
            'qrlogin.E004) QRLOGIN["STORE"]: a store is memory, or an address such as redis://'
            in done.stderr
        )
        assert "Traceback" not in done.stderr
    for module in ("config.wsgi", "config.asgi"):
        done = run(folder, sys.executable, "-c", f"import {module}", **wrong)
        assert 'ImproperlyConfigured: QRLOGIN["STORE"]: a store is memory' in done.stderr


def test_a_wrong_environment_is_refused_with_what_to_set(inside: dict[str, Any]) -> None:
    for (case, said), found in zip(SETTINGS_ERRORS, inside["settings_error"], strict=True):
        assert said in found, (case, found)
        assert bool(said) == bool(found), (case, found)


@row(49)
def test_several_processes_over_memory_are_refused(inside: dict[str, Any]) -> None:
    """As far as its command line says: no server tells its application how many it starts."""
    for (case, number), (kind, said) in zip(STARTS, inside["started"], strict=True):
        assert kind == ("failed" if number else "complete"), (case, said)
        assert said.startswith(
            f"{number} worker processes do not share logins in memory: set QRLOGIN"
            if number
            else ""
        ), case


def test_gunicorn_conf_refuses_several_workers_before_it_starts_any(folder: Path) -> None:
    done = run(
        folder,
        sys.executable,
        "-m",
        "gunicorn",
        "--workers",
        "2",
        "--bind",
        "127.0.0.1:0",
        "config.wsgi",
    )
    assert done.returncode == 1
    assert "set QRLOGIN_STORE" in done.stderr
    assert "Booting worker" not in done.stderr


def test_secrets_are_created_once_and_an_https_site_passes_the_deployment_checks(
    folder: Path, inside: dict[str, Any]
) -> None:
    files = [folder / "instance" / name for name in ("secret_key", "qrlogin_key")]
    keys = [file.read_text() for file in files]
    assert len(set(keys)) == 2
    assert [file.stat().st_mode & 0o077 for file in (folder / "instance", *files)] == [0, 0, 0]
    done = manage(
        folder,
        "check",
        "--deploy",
        QRLOGIN_ORIGIN="https://example.com",
        QRLOGIN_STORE="redis://127.0.0.1/0",
    )
    assert done.returncode == 0, done.stderr
    # These three (redirects, HSTS for subdomains, HSTS preload) are for the owner of the domain.
    assert set(re.findall(r"\((\w+\.\w+)\)", done.stderr)) <= {
        "security.W005",
        "security.W008",
        "security.W021",
    }
    assert [file.read_text() for file in files] == keys


# Pages and requests


def test_the_template_tags_escape_their_values(inside: dict[str, Any]) -> None:
    hostile, plain = inside["tags"]
    assert "<script>alert" not in hostile
    assert hostile.count("&quot;&gt;&lt;script&gt;") == 4  # also in the content between the tags
    assert f'src="/qrlogin/modules/{version()}/qr-login-element.js"' in plain
    assert (
        '<qr-login src="/qrlogin/" next="/basket?a=1&amp;b=2" '
        'csrf-header="X-CSRFToken" csrf-token="' in plain
    )
    approve = (
        '<qr-approve src="/qrlogin/phone/" at="/qr" account="alice" site="Shop &amp; Co" '
        'home="/" csrf-header="X-CSRFToken"'
    )
    assert approve in plain
    assert "stream=" not in plain
    assert "typed" not in plain


def test_next_accepts_only_paths_of_this_site(inside: dict[str, Any]) -> None:
    assert inside["local_path"] == OWN + ["/"] * len(NOT_OWN)


def test_requests_with_the_users_authority_need_a_csrf_token(inside: dict[str, Any]) -> None:
    """However the path is spelled. A form gets a page, an element gets JSON."""
    html, json_ = ([403, f"{kind}; charset=utf-8"] for kind in ("text/html", "application/json"))
    assert inside["forged"] == [html] * len(FORMS) + [json_] * len(AS_JSON)


def test_the_style_is_that_of_the_other_examples() -> None:
    for name in ("style.css", "icon.svg"):
        assert (SITE / "static" / name).read_bytes() == (
            EXAMPLES / "flask_app" / "static" / name
        ).read_bytes()
