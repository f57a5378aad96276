"""The examples take any name that people have, and any address that leads to their phone's page."""

import html
import unicodedata

import pytest

from qrlogin.browser import texts
from qrlogin.names import clean, exact, masked
from tests.examples.running import ALL, Running
from tests.examples.story import Desk
from tests.examples.visitors import PASSWORD, Visitor
from tests.people import NAMES

PAGES = texts("en")["pages"]


def form_error(answer: object) -> str:
    text = html.unescape(getattr(answer, "text", ""))
    return text.partition('role="alert">')[2].partition("</p>")[0]


EVIL = '"><script>alert(1)</script>'
#: `make test` tries each name on one example, the matrix each on all.
ROWS = [
    pytest.param(example, name, marks=[] if at % len(ALL) == own else pytest.mark.matrix)
    for own, example in enumerate(ALL)
    for at, name in enumerate([*NAMES, EVIL])
]


@pytest.mark.parametrize(
    ("example", "name"), ROWS, indirect=["example"], ids=map(str, range(len(ROWS)))
)
def test_a_person_with_any_name_signs_up_signs_in_and_approves(name: str, example: Running) -> None:
    """The name is spelled differently at the next login: another keyboard composed its letters, and
    it was pasted with what nobody sees."""
    name = f"{name}{example.port % 997}" if len(name) < 70 else name
    elsewhere = f"\u202a{unicodedata.normalize('NFD', name)}\u202c\u200b "
    known = unicodedata.normalize("NFKC" if example.example.name == "Django" else "NFC", name)
    with (
        Visitor(example.origin) as new,
        Visitor(example.origin) as phone,
        Desk(Visitor(example.origin)) as desk,
    ):
        answer = new.send_form("/signup", name=name, password=PASSWORD)
        assert answer.status_code in (302, 303), form_error(answer)
        answer = new.send_form("/signup", name=elsewhere, password=PASSWORD)
        assert form_error(answer) == PAGES["nameTaken"]
        answer = phone.send_form("/login", name=elsewhere, password=PASSWORD)
        assert answer.status_code in (302, 303), form_error(answer)
        assert phone.page("/qr").first("qr-approve")["account"] == clean(known, 1000)

        desk.visitor.page("/login")
        desk.begin()
        for verb in ("scan", "confirm"):
            assert phone.post(f"phone/{verb}", code=desk.complete).status_code == 200
        by = desk.look()["scanned_by"]
        assert by["shown_as"] == masked(known)
        assert by["name"] == exact(clean(known, 1000), 320)
        assert desk.redeem(by["tag"]).status_code == 200
        home = desk.visitor.http.get("/").text
        assert f"\u2068{clean(known, 200)}\u2069" in html.unescape(home)
        assert "<script>alert" not in home


@pytest.mark.parametrize(
    ("name", "password", "error"),
    [
        ("", PASSWORD, PAGES["nameMissing"]),
        ("\u200b\u202e\n", PASSWORD, PAGES["nameMissing"]),
        ("x" * 151, PASSWORD, PAGES["nameTooLong"].replace("{n}", "150")),
        ("Ana", "short", PAGES["passwordTooShort"].replace("{n}", "15")),
        ("Ana", "x" * 257, PAGES["passwordTooLong"].replace("{n}", "256")),
    ],
    ids=["no name", "an invisible name", "a long name", "a short password", "a long password"],
)
def test_each_mistake_in_a_sign_up_form_has_its_own_message(
    name: str, password: str, error: str, example: Running
) -> None:
    with Visitor(example.origin) as visitor:
        answer = visitor.send_form("/signup", name=name, password=password)
        assert form_error(answer) == error


WRAPPINGS = [
    "/qr/{}/",
    "/qr/{}%0D%0A",
    "/qr/{}%E2%80%8B/?utm_source=a%20b&fbclid=1",
    "/qr/%EF%BB%BF{}",
    "/qr//{}",
]


def test_the_page_opens_and_sign_in_returns_to_the_code_however_it_is_wrapped(
    example: Running,
) -> None:
    form = {"name": f"Mina {example.port}", "password": PASSWORD}
    from_login = {"Origin": example.origin, "Referer": f"{example.origin}/login"}
    with Visitor(example.origin) as phone, Desk(Visitor(example.origin)) as desk:
        assert phone.send_form("/signup", **form).status_code in (302, 303)
        desk.visitor.page("/login")
        for wrapping in WRAPPINGS:
            code = desk.begin().complete.rpartition("/")[2]
            path = wrapping.format(code)
            # The element sends the path of the address bar.
            assert phone.page(path).first("qr-approve")["at"] == "/qr"
            scanned = phone.post("phone/scan", code=example.origin + path)
            assert scanned.status_code == 200, (wrapping, scanned.text)

            phone.http.cookies.clear()
            links = [one.get("href", "") for _, one in phone.page(path).found]
            (sign_in,) = (link for link in links if "next=" in link)
            hidden = phone.page(sign_in).hidden()
            answer = phone.http.post("/login", data={**hidden, **form}, headers=from_login)
            assert answer.headers["location"] == f"/qr/{code}", wrapping


def test_the_children_of_the_question_lead_back_to_the_same_address(example: Running) -> None:
    """They show where the question cannot. The noscript part shows only without scripts."""
    with Visitor(example.origin) as phone:
        phone.send_form("/signup", name=f"leila{example.port}", password=PASSWORD)
        page = phone.http.get("/qr/WDJB-MJHT").text
    children = page.partition("<qr-approve")[2].partition(">")[2].partition("</qr-approve>")[0]
    silent = f'<noscript><p class="card">{PAGES["approveNeedsJavaScript"]}</p></noscript>'
    link = f'<a href="/login?next=/qr/WDJB-MJHT">{PAGES["signInFirst"]}</a>'
    assert children.split() == f"{link} {silent}".split()
