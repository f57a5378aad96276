"""Schemathesis reads /openapi.json of the FastAPI example and tries to catch it lying: as nobody, and as somebody who is
signed in and has begun a login.

It is run with all of its checks. What is left out, and why:

- A websocket's address refuses every plain GET (426, RFC 9110 section 15.5.22), so for that one operation no data is "accepted",
  and the refusal does not depend on the data.
- Whoever is signed in here is so by headers that are on every request: `ignored_auth` cannot take them off. Nobody's run has it.
- In the dialects of others a stranger is told "gone" with status 200, as their clients expect: no missing cookie is "rejected".
  OAuth refuses a client, a grant or a device_code that nobody knows with 400 (RFC 6749 section 5.2), which depends on no schema:
  no `positive_data_acceptance` there.

No sequences of calls are drawn here: tests/wire/test_fuzz.py sends all kinds of requests at every state of a login.
"""

import subprocess
import sys
from pathlib import Path

import pytest

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
    """The order and the data are the same at every run."""
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
    operations = sum(len(item) for item in site.module.app.openapi()["paths"].values())
    assert f"Tested: {operations}\n" in done.stdout, done.stdout


@pytest.mark.timeout(300)
def test_every_answer_to_a_stranger_fits_the_openapi_description(tmp_path: Path) -> None:
    with served(tmp_path, QRLOGIN_DIALECTS="all") as site:
        finds_nothing(site, tmp_path, "--phases=coverage,fuzzing")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("state", "phases"), [("pending", "coverage,fuzzing"), ("confirmed", "coverage")]
)
def test_every_answer_to_a_signed_in_user_fits_the_openapi_description(
    state: str, phases: str, tmp_path: Path
) -> None:
    with served(tmp_path) as site, signed_up(site, "alice") as visitor:
        begun = visitor.post("begin").json()
        code = begun["verification_uri_complete"]
        if state == "confirmed":
            for verb in ("scan", "confirm"):
                assert visitor.post(f"phone/{verb}", code=code).status_code == 200
        site.call(site.module.qr.drain)  # else each question whose answer is no news would be held
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.jar().items())
        own = f'parameters = {{ login_id = "{begun["login_id"]}" }}\n[generation]\nwith-security-parameters = false\n'
        headers = [
            f"--header=Cookie:{cookies}",
            f"--header=Origin:{site.origin}",
            "--exclude-checks=ignored_auth",
        ]
        finds_nothing(site, tmp_path, f"--phases={phases}", *headers, config=own)
        assert (
            visitor.get(begun["login_id"]).json()["state"] == "cancelled"
        )  # that is how far it came
