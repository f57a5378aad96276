"""The diff in the Django example's README, applied to existing_django/."""

import re
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.examples.held_waits import before_time_out, hold_poll, wait_until_held
from tests.examples.patching import added, apply, diff_in
from tests.examples.running import DJANGO, LEFT_OUT, Running
from tests.examples.story import Desk, Phone
from tests.examples.test_django_settings import KEY, SITE, manage, run
from tests.examples.visitors import PASSWORD, Visitor
from tests.wire.clock import eventually

SLOTS = 8  # the default of MAX_WAITING under WSGI
SHOP = Path(__file__).parent / "existing_django"
ENV = {"SECRET_KEY": "of this test, and of no other: 0123456789abcdef", "QRLOGIN_KEY": KEY}


@pytest.mark.matrix
def test_a_project_with_the_diff_logs_in_by_phone_and_stops_soon(tmp_path: Path) -> None:
    """Served as the README says. On SIGTERM it answers all waiting browsers and exits."""
    diff = diff_in(SITE / "README.md")
    assert len(added(diff)) <= 15
    shop = Path(shutil.copytree(SHOP, tmp_path / "shop", ignore=LEFT_OUT))
    apply(diff, shop)
    shutil.copytree(SITE / "qrlogin_django", shop / "qrlogin_django", ignore=LEFT_OUT)
    (command,) = re.findall(r"^gunicorn .* shop\.wsgi$", DJANGO.readme, re.MULTILINE)
    start = f"env QR_ADDRESS=$QRLOGIN_ORIGIN/qr {command} --bind 127.0.0.1:{{port}}"
    with Running(
        DJANGO, folder=shop, start=start, **ENV, QR_ADDRESS="http://127.0.0.1/qr"
    ) as running:
        made = manage(
            shop,
            *("createsuperuser", "--noinput", "--username=alice", "--email="),
            **{**ENV, "QR_ADDRESS": f"{running.origin}/qr", "DJANGO_SUPERUSER_PASSWORD": PASSWORD},
        )
        assert made.returncode == 0, made.stderr
        with Desk(Visitor(running.origin)) as desk, Phone(Visitor(running.origin)) as alice:
            assert desk.visitor.page("/login").first("qr-login")["src"] == "/qrlogin/"
            assert alice.visitor.page("/qr/abc").first("a")["href"] == "/login?next=/qr/abc"
            signed_in = alice.visitor.send_form(
                "/login?next=/qr/abc", username="alice", password=PASSWORD
            )
            assert signed_in.headers["location"] == "/qr/abc"
            assert alice.visitor.page("/qr/abc").first("qr-approve")["account"] == "alice"
            assert desk.visitor.http.get("/").status_code == 302
            alice.see(desk.begin()).does("scan", "confirm")
            assert desk.redeem(desk.look()["scanned_by"]["tag"]).status_code == 200
            assert "Hello, alice." in desk.visitor.http.get("/").text
        with ExitStack() as stack:
            late, *desks = (
                stack.enter_context(Desk(Visitor(running.origin))).begin() for _ in range(1 + SLOTS)
            )
            waits = [hold_poll(desk) for desk in desks]
            wait_until_held(late, *waits)
            running.stop()
            eventually(running.ended)
            assert before_time_out(waits), running.log[-2000:]
            assert {each.answer()["state"] for each in waits} == {"pending"}
    several = run(
        shop,
        sys.executable,
        "-m",
        *command.split(),
        "--workers=2",
        "--check-config",
        **ENV,
        QR_ADDRESS="http://127.0.0.1/qr",
    )
    assert "2 worker processes do not share logins in memory" in several.stderr
