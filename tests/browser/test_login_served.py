"""<qr-login> over the real server: a code that is replaced, a site that is set up wrongly, and
accounts whose names are made to look like another's.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from qrlogin import STANDARD, MemoryStore, QRLogin, State, TooManyBegins
from qrlogin.demo.server import Server
from qrlogin.names import marked, masked
from qrlogin.wire import BrowserContext, Endpoint, Native, Request, Response
from qrlogin.wire.message import StartResponse
from tests.application import Clock
from tests.browser.login_page import LoginPage
from tests.people import NAMES, UNBOXED
from tests.security_rows import row
from tests.tables import in_matrix

PAGE = """<!doctype html><html lang="{lang}"><title>Log in</title>
<script type="module" src="/qrlogin/qr-login-element.js"></script>
<qr-login src="{mount}" next="/in"></qr-login></html>"""
INSIDE = "<!doctype html><html lang='en'><title>In</title><p id='in'>You are in.</p></html>"
HOME = "198.51.100.7"  # of every browser
LINK = "it => it.shadowRoot.querySelector('[part=link]').href"


@dataclass
class Site:
    qr: QRLogin
    clock: Clock
    mount: str = "/qrlogin/"
    lang: str = "en"
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Nothing is held: the clock of the store moves by itself in no test.
        native = Native(self.qr.core, describe=BrowserContext(address=lambda _: HOME))
        self.endpoint = Endpoint(self.qr, native, max_waiting=0)

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        path = str(environ["PATH_INFO"])
        self.asked.append(path.rpartition("/")[2])
        if path.startswith("/qrlogin/"):
            asked = Request.from_wsgi(environ, path.removeprefix("/qrlogin/"))
            return self.endpoint.browser(asked).to_wsgi(start_response)
        page = {"/in": INSIDE, "/": PAGE.format(mount=self.mount, lang=self.lang)}.get(path, "")
        answer = Response(200 if page else 404, (("Content-Type", "text/html"),), page.encode())
        return answer.to_wsgi(start_response)


@pytest.fixture
def site() -> Iterator[Site]:
    clock = Clock()
    with Server("127.0.0.1", 0) as server:
        uri = f"http://127.0.0.1:{server.port}/qr"
        key = bytes(range(32))
        qr = QRLogin(MemoryStore(now=clock), secret_keys=[key], verification_uri=uri)
        site = Site(qr, clock)
        server.start(site)
        yield site
        server.stop(qr.close)


async def passes(login_page: LoginPage, site: Site, seconds: int) -> None:
    """Time passes on the server and on the page."""
    for _ in range(seconds):
        site.clock.ms += 1000
        await login_page.page.clock.run_for(1000)
        await login_page.answered()


async def test_a_phone_that_read_the_last_code_gets_in_after_the_page_has_renewed_it(
    login_page: LoginPage, site: Site
) -> None:
    await login_page.opens(f"{site.qr.core.origin}/")
    await passes(login_page, site, STANDARD.lifetime - 3)
    read = await login_page.element.evaluate(LINK)
    assert site.asked.count("begin") == 1
    await passes(login_page, site, 8)
    assert site.asked.count("begin") == 2
    renewed = await login_page.element.evaluate(LINK)
    assert renewed != read
    assert await login_page.state() == "pending"
    site.qr.scan(read, subject="1", shown_as="A•••e")
    await passes(login_page, site, 4)
    assert await login_page.state() == "scanned"
    assert "cancel" in site.asked
    site.qr.confirm(read, subject="1")
    await passes(login_page, site, 4)
    assert await login_page.state() == "confirmed"
    await login_page.page.clock.resume()
    await login_page.press("Continue")
    await login_page.page.wait_for_url("**/in")


@pytest.mark.matrix
async def test_a_page_in_sight_asks_for_a_press_after_three_renewals(
    login_page: LoginPage, site: Site
) -> None:
    """A press every eight minutes, and not one every two."""
    await login_page.opens(f"{site.qr.core.origin}/")
    await passes(login_page, site, 4 * STANDARD.lifetime + 12)
    assert await login_page.state() == "expired"
    assert site.asked.count("begin") == 4
    cookies = await login_page.context.cookies()
    assert len(cookies) <= 4
    last = max((site.qr.status(each["value"]) for each in cookies), key=lambda it: it.expires_in)
    assert last.state is State.PENDING, "the last code can still be scanned"


@pytest.mark.parametrize("wrong", ["origin", "mount"])
async def test_a_site_that_is_set_up_wrongly_says_so(
    login_page: LoginPage, site: Site, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    login_page.page.on("console", lambda message: heard.append(message.text))
    login_page.forgives("<qr-login> /")
    origin = site.qr.core.origin
    if wrong == "mount":
        site.mount = "/elsewhere/"
    else:  # people open the site at another address than that of verification_uri
        origin = origin.replace("127.0.0.1", "localhost")
    await login_page.page.goto(f"{origin}/")
    await login_page.ends("refused", "Try again")
    [line] = [line for line in heard if line.startswith("<qr-login> /")]
    if wrong == "mount":
        assert line.startswith("<qr-login> /elsewhere/begin: 404")
    else:
        assert "403 forbidden Origin is not the site" in line
        assert f"refused a request of Origin '{origin}'" in caplog.text


#: Accounts of an attacker, each with Alice's mask or with a name that looks like hers.
DRESSED = {
    "another name with the same mask": "anna.lee@example.come",
    "a Cyrillic letter": "\u0430lice@example.come",
    "Cyrillic letters only": "\u0430\u0435\u043e\u0440\u0441@example.come",
    "an invisible sign": "ali\u200bce@example.come",
    "a joiner": "ali\u200dce@example.come",
    "a variation selector": "alice\ufe0e@example.come",
    "wide letters": "\uff41lice@example.come",
    "a blank in the end": "alice@example.come ",
    "a mark over a letter": "al\u0131\u0307ce@example.come",
    "more capitals": "alIce@example.come",
    "right to left": "\u202ealice@example.come",
}
#: One for each way to be like Alice: her mask, her letters, what is not seen, and its order.
SOME = ["another name with the same mask", "Cyrillic letters only", "a joiner", "right to left"]
ALICE_IS = "alice@example.come"
QUESTION = "it => it.shadowRoot.querySelector('[part=title]').innerHTML"


async def question(login_page: LoginPage, site: Site, subject: str, name: str) -> tuple[str, str]:
    """What the browser asks after this account has scanned and approved, and who scanned."""
    site.endpoint = Endpoint(
        site.qr, max_waiting=4
    )  # holds requests, so the page sees each change at once
    await login_page.page.goto(f"{site.qr.core.origin}/")
    await login_page.element.evaluate("it => it.begin()")
    await login_page.until("pending")
    code = await login_page.element.evaluate(LINK)
    site.qr.scan(code, subject=subject, shown_as=masked(name))
    await login_page.until("scanned")
    scanned = await login_page.element.evaluate(QUESTION)
    site.qr.confirm(code, subject=subject, name=name)
    await login_page.until("confirmed")
    return await login_page.element.evaluate(QUESTION), scanned


@row(9, 66)
@pytest.mark.parametrize("dressed", [SOME, *in_matrix([[*DRESSED]])], ids=["some", "all"])
async def test_no_other_account_gets_the_question_of_alices_account(
    login_page: LoginPage, site: Site, dressed: list[str]
) -> None:
    """Alice presses "Continue" when she reads what she has read before. Until the approval she
    reads "A•••e", which others may have, too; nothing that she has seen by then redeems a login.
    """
    honest, scanned_by_alice = await question(login_page, site, "1", ALICE_IS)
    assert ALICE_IS in honest
    for about in dressed:
        name = DRESSED[about]
        asked, scanned = await question(login_page, site, "666", name)
        if masked(name) == masked(ALICE_IS):
            assert scanned == scanned_by_alice
        assert asked != honest, about
        plain_letters = await login_page.element.evaluate(
            "it => it.shadowRoot.querySelector('[part=name]').textContent"
        )
        boxed = "odd" in asked
        assert boxed or plain_letters.isascii(), about
        assert not any(sign in plain_letters for sign in "\u200b\u200d\ufe0e\u202e"), about


@row(9, 66)
async def test_declining_comes_first_and_the_mask_alone_redeems_nothing(
    login_page: LoginPage, site: Site
) -> None:
    await question(login_page, site, "1", ALICE_IS)
    buttons = login_page.element.get_by_role("button")
    assert await buttons.all_inner_texts() == ["That is not me", "Continue"]
    await login_page.press("Continue")
    await login_page.page.wait_for_url("**/in")


@row(66)
async def test_python_and_the_page_box_the_same_letters(login_page: LoginPage, site: Site) -> None:
    await login_page.opens(f"{site.qr.core.origin}/")
    samples = [
        *DRESSED.values(), ALICE_IS, "мария", "玛丽", "マリア", "まりあ", "마리아", "محمد", "דוד",
        "संजय", "สมชาย", "İpek", "ßeta", "Ωmega", "а玛丽", "abcمحمد", "👩‍💻", "玛丽 👩‍💻",
        *NAMES, *UNBOXED, *(f"{name} a" for name in UNBOXED), "g\u3007\u3007gle", "a·b",
    ]  # fmt: skip
    pieces = await login_page.page.evaluate(
        """async (names) => {
          const { oddPieces } = await import("/qrlogin/qr-login-parts.js");
          return names.map(oddPieces);
        }""",
        samples,
    )
    for name, split in zip(samples, pieces, strict=True):
        bracketed = "".join(f"[{text}]" if at % 2 else text for at, text in enumerate(split))
        assert bracketed == marked(name)


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "Many people on your network are logging in. This page tries again by itself."),
        *in_matrix([("zh-CN", "当前网络登录人数较多")]),
    ],
)
async def test_a_browser_behind_a_flooded_address_waits_for_its_turn_and_gets_a_code(
    login_page: LoginPage, site: Site, lang: str, words: str
) -> None:
    """Before, it showed an error after three attempts. A first request is refused for ever here."""
    site.lang = lang

    def flood() -> None:
        with suppress(TooManyBegins):
            while True:
                site.qr.begin(context={"address": HOME})

    flood()
    await login_page.opens(f"{site.qr.core.origin}/", "starting")
    await login_page.eventually(
        login_page.text, lambda shown: words in shown, f"the words {words!r}", step=1
    )
    assert await login_page.buttons() == []
    await login_page.shot(f"busy-{lang}")
    flood()
    await login_page.until("pending", step=100)
    assert site.asked.count("begin") == 2
    assert words not in await login_page.text()
