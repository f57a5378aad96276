"""Schemathesis compares the answers of the FastAPI example with its /openapi.json: without cookies,
and as a signed-in user who has begun a login.

All of its checks run, with these exceptions:

- A websocket's URL refuses every plain GET (426, RFC 9110 section 15.5.22), whatever the data is.
  So the checks of accepted and rejected data are off for that operation.
- The signed-in runs send the cookies as headers with every request, and `ignored_auth` cannot
  remove headers. The run without cookies has this check.
- Other dialects answer a missing cookie with status 200, as their clients expect, so `ignored_auth`
  is off there. OAuth refuses an unknown client, grant or device_code with 400 (RFC 6749 section
  5.2), which no schema describes, so `positive_data_acceptance` is off there.

No sequences of calls run here: tests/wire/test_fuzz.py sends all kinds of requests at every state
of a login.
"""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from qrlogin import STANDARD
from tests.examples.fastapi_served import Served, served, signed_up

pytestmark = pytest.mark.matrix
RULES = """
[[operations]]
include-path-regex = "/socket$"
checks = { positive_data_acceptance.enabled = false, negative_data_rejection.enabled = false }

[[operations]]
include-path-regex = "^/(token|device_authorization)$"
checks = { positive_data_acceptance.enabled = false }

[[operations]]
exclude-path-regex = "^/(qrlogin/.*|token|device_authorization)$"
generation = { with-security-parameters = false }
checks = { ignored_auth.enabled = false }
"""


def finds_nothing(site: Served, folder: Path, *options: str, config: str = "") -> None:
    """Runs Schemathesis. The order and the data are the same in every run."""
    toml = folder / "schemathesis.toml"
    toml.write_text(config + RULES)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={toml}",
        "run",
        f"{site.origin}/openapi.json",
    ]
    fixed = [
        "--mode=all",
        "--generation-deterministic",
        "--no-color",
        "--warnings=off",
        "--max-examples=3",
    ]
    done = subprocess.run(
        [*command, *fixed, *options], cwd=folder, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout + done.stderr
    left_out = [each.partition("=")[2] for each in options if each.startswith("--exclude-path")]
    operations = sum(
        len(item)
        for path, item in site.module.app.openapi()["paths"].items()
        if not any(re.search(pattern, path) for pattern in left_out)
    )
    assert f"Tested: {operations}\n" in done.stdout, done.stdout


@pytest.mark.timeout(300)
def test_every_answer_to_a_stranger_fits_the_openapi_description(tmp_path: Path) -> None:
    with served(tmp_path, QRLOGIN_DIALECTS="all") as site:
        # `authorize` answers every request with an error, whatever the description allows.
        no_login = "--exclude-path-regex=/authorize$"
        finds_nothing(site, tmp_path, "--phases=coverage,fuzzing", no_login)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("state", "phases"), [("pending", "coverage,fuzzing"), ("confirmed", "coverage")]
)
def test_every_answer_to_a_signed_in_user_fits_the_openapi_description(
    state: str, phases: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A run takes a minute on a busy machine.
    monkeypatch.setattr("qrlogin.STANDARD", replace(STANDARD, redeem_window=150))
    with served(tmp_path) as site, signed_up(site, "alice") as visitor:
        begun = visitor.post("begin").json()
        code = begun["verification_uri_complete"]
        if state == "confirmed":
            for verb in ("scan", "confirm"):
                assert visitor.post(f"phone/{verb}", code=code).status_code == 200
        site.call(site.module.qr.drain)  # or each status request without news would be held
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.jar().items())
        own = (
            f'parameters = {{ login_id = "{begun["login_id"]}" }}\n'
            "[generation]\nwith-security-parameters = false\n"
        )
        headers = [
            f"--header=Cookie:{cookies}",
            f"--header=Origin:{site.origin}",
            "--exclude-checks=ignored_auth",
        ]
        if state == "confirmed":  # the modules were asked for in the other state
            headers.append("--exclude-path-regex=/qr-(login-texts-|login-bundle)|/modules/")
        finds_nothing(site, tmp_path, f"--phases={phases}", *headers, config=own)
        assert (
            visitor.get(begun["login_id"]).json()["state"] == "cancelled"
        )  # the run reached the last operation
