"""Schemathesis reads /openapi.json of the FastAPI example and tries to catch it lying: as nobody, and as somebody who is
signed in and has begun a login.

It is run with all of its checks. What is left out, and why:

- A websocket's address refuses every plain GET (426, RFC 9110 section 15.5.22), so for that one operation no data is "accepted",
  and the refusal does not depend on the data.
- Whoever is signed in here is so by headers that are on every request: `ignored_auth` cannot take them off. Nobody's run has it.
- In the dialects of others a stranger is told "gone" with status 200, as their clients expect: no missing cookie is "rejected".
  OAuth refuses a client, a grant or a device_code that nobody knows with 400 (RFC 6749 section 5.2), which depends on no schema:
  no `positive_data_acceptance` there.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.examples.fastapi_served import Served, served
from tests.examples.visitors import PASSWORD, Visitor

SOCKET = "--{}-path-regex=/socket$"
OF_DATA = "--exclude-checks=positive_data_acceptance,negative_data_rejection"


def finds_nothing(site: Served, folder: Path, *options: str, config: str = "") -> str:
    """What it printed. The order and the data are the same at every run."""
    toml = folder / "schemathesis.toml"
    toml.write_text(config)
    command = [str(Path(sys.executable).with_name("schemathesis")), f"--config-file={toml}", "run", f"{site.origin}/openapi.json"]
    fixed = ["--mode=all", "--generation-deterministic", "--no-color", "--warnings=off", "--max-examples=5"]
    done = subprocess.run([*command, *fixed, *options], cwd=folder, capture_output=True, text=True, timeout=250)
    said = str(done.stdout)
    assert done.returncode == 0, said + done.stderr
    return said


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as each:
        yield each


@pytest.mark.timeout(300)
def test_nobody_finds_anything(site: Served, tmp_path: Path) -> None:
    described: dict[str, Any] = site.module.app.openapi()["paths"]
    operations = sum(len(item) for item in described.values())
    assert f"Tested: {operations - 1}\n" in finds_nothing(site, tmp_path, SOCKET.format("exclude"))
    assert "Tested: 1\n" in finds_nothing(site, tmp_path, SOCKET.format("include"), OF_DATA)


@pytest.mark.timeout(300)
def test_nobody_finds_anything_in_the_other_dialects(tmp_path: Path) -> None:
    with served(tmp_path, QRLOGIN_DIALECTS="all") as site:
        paths = [path for path in site.module.app.openapi()["paths"] if not path.startswith("/qrlogin/")]
        others = ["--exclude-path-regex=^/(qrlogin/.*|token|device_authorization)$", "--exclude-checks=ignored_auth"]
        others.append("--generation-with-security-parameters=false")
        assert f"Tested: {len(paths) - 2 + 1}\n" in finds_nothing(site, tmp_path, *others)  # one of them has two methods
        oauth = ["--include-path-regex=^/(token|device_authorization)$", "--exclude-checks=positive_data_acceptance"]
        assert "Tested: 2\n" in finds_nothing(site, tmp_path, *oauth)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("state", ["pending", "confirmed"])
def test_somebody_with_a_login_finds_nothing(state: str, site: Served, tmp_path: Path) -> None:
    with Visitor(site.origin) as visitor:
        assert visitor.send_form("/signup", name="alice", password=PASSWORD).status_code == 303
        begun = visitor.post("begin").json()
        code = begun["verification_uri_complete"]
        if state == "confirmed":
            for verb in ("scan", "confirm"):
                assert visitor.post(f"phone/{verb}", code=code).status_code == 200
        site.call(site.module.qr.drain)  # else each question whose answer is no news would be held
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.jar().items())
        own = f'parameters = {{ login_id = "{begun["login_id"]}" }}\n[generation]\nwith-security-parameters = false'
        headers = [f"--header=Cookie:{cookies}", f"--header=Origin:{site.origin}", "--exclude-checks=ignored_auth"]
        if state == "confirmed":
            headers.append("--phases=examples,coverage")  # what is drawn at random is drawn in the other state
        finds_nothing(site, tmp_path, SOCKET.format("exclude"), *headers, config=own)
        assert visitor.get(begun["login_id"]).json()["state"] == "cancelled"  # that is how far it came
