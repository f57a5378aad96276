"""A name in any script passes through HTTP and Redis to the browser unchanged."""

import pytest

from qrlogin.wire import Person
from tests.people import NAMES
from tests.wire import sites
from tests.wire.story import Browser, Phone

NOTHING_TO_SHOW = {"\u202e": "", "": ""}


@pytest.mark.parametrize("kind", ["bare WSGI", "bare ASGI"])
def test_a_name_in_any_script_passes_through_http_and_stops_no_login(
    kind: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sites.SITES[kind](redis_url) as site:
        for name, shown in (NAMES | NOTHING_TO_SHOW).items():
            monkeypatch.setitem(sites.CREDENTIALS, "Bearer phone-of-alice", Person("1", name))
            with Browser(site) as desk, Phone(site, "alice") as phone:
                phone.code = desk.begin().json["verification_uri_complete"]
                assert phone.send("scan").status == 200
                by = desk.look().json["scanned_by"]
                assert by["shown_as"] == shown
                assert phone.send("confirm").status == 200
                tag = desk.look().json["scanned_by"]["tag"]
                assert desk.redeem(tag).status == 200
                assert site.application.log_ins[-1].shown_as == shown
