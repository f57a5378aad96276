"""A name in any of eight scripts passes through HTTP to the browser unchanged."""

import pytest

from qrlogin.wire import Person
from tests.wire import sites
from tests.wire.story import Browser, Phone

NAMES = {  # as the application knows it: as it is shown
    "Ana 👩\u200d💻": "Ana 👩\u200d💻",
    "نیک\u200cپی": "نیک\u200cپی",
    "أحمد\u200f": "أحمد",
    "ශ\u0dca\u200dරී": "ශ\u0dca\u200dරී",
    "王小明\n": "王小明",
    "Ωμέγα\tЖюли": "Ωμέγα Жюли",
    "\u0c15" * 70: "\u0c15" * 65 + "…",
    "Kim \U0001fae8": "Kim \U0001fae8",
    "\u202e": "",
    "": "",
}


@pytest.mark.parametrize("store", ["memory", "redis"])
@pytest.mark.parametrize("kind", ["bare WSGI", "bare ASGI"])
def test_a_name_in_any_script_passes_through_http_and_stops_no_login(
    kind: str, store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = request.getfixturevalue("redis_url") if store == "redis" else None
    with sites.SITES[kind](url) as site:
        for name, shown in NAMES.items():
            monkeypatch.setitem(sites.CREDENTIALS, "Bearer phone-of-alice", Person("1", name))
            with Browser(site) as desk, Phone(site, "alice") as phone:
                phone.code = desk.begin().json["verification_uri_complete"]
                assert phone.send("scan").status == 200
                by = desk.look().json["scanned_by"]
                assert by["shown_as"] == shown
                assert phone.send("confirm").status == 200
                assert desk.redeem(by["tag"]).status == 200
                assert site.application.log_ins[-1].shown_as == shown
