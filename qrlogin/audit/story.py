"""Checks of the order of steps: the honest story, skipped steps, races, ends, and fixation."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from qrlogin.audit.check import (
    MAX_LIFETIME,
    Broken,
    Flaw,
    NotApplicable,
    Scene,
    Severity,
    at_once,
    attempt,
    check,
    guesses_at,
)
from qrlogin.audit.devices import Browser, Phone
from qrlogin.audit.target import Login

#: How often a race is run, and how many devices run.
ROUNDS: Final = 4
RUNNERS: Final = 6
#: How many wrong codes an attacker types.
_GUESSES: Final = 30


@check(
    "works",
    Severity.CRITICAL,
    "An honest person gets in: begin, scan, confirm, collect.",
    "Correct the functions of the target first: without this, no other check proves anything.",
)
def works(scene: Scene) -> None:
    for account in scene.target.accounts:
        browser, phone = scene.browser(), scene.phone(account)
        login = scene.begin(browser)
        seen = scene.poll(browser, login)
        if seen != "pending":
            raise Broken(f'poll returned "{seen}" for a new login, which is "pending"')
        for name, step in (("scan", scene.target.scan), ("confirm", scene.target.confirm)):
            if not step(phone, login.code):
                raise Broken(f"{name} was refused to an honest phone")
            seen = scene.poll(browser, login)
            if seen in ("ended", "refused"):
                raise Broken(f'poll returned "{seen}" to an honest browser after {name}')
        if (got := scene.account(browser, login)) != account:
            raise Broken(f"collect returned {got or 'no session'} for the login of {account}")


# Skipped steps


@check(
    "collect-first",
    Severity.CRITICAL,
    "A login that no phone has scanned logs nothing in.",
    "Refuse to collect unless the login is confirmed.",
)
def collect_first(scene: Scene) -> None:
    browser = scene.browser()
    if account := scene.account(browser, scene.begin(browser)):
        raise Flaw(f"a login that no phone scanned was collected as {account}")


@check(
    "collect-unconfirmed",
    Severity.CRITICAL,
    "A login that was scanned and not confirmed logs nothing in.",
    "Keep scanned and confirmed apart, and refuse to collect unless the login is confirmed.",
)
def collect_unconfirmed(scene: Scene) -> None:
    browser = scene.browser()
    login, _ = scene.scanned(browser)
    if account := scene.account(browser, login):
        raise Flaw(f"a login was collected as {account} before the phone said yes")


@check(
    "confirm-unscanned",
    Severity.MEDIUM,
    "A phone cannot confirm a login that it has not scanned, so its person was asked.",
    "Refuse confirm unless this account has scanned the login.",
)
def confirm_unscanned(scene: Scene) -> None:
    browser = scene.browser()
    login = scene.begin(browser)
    if scene.target.confirm(scene.phone(scene.alice), login.code):
        raise Flaw("a phone confirmed a login without a scan")


@check(
    "other-confirms",
    Severity.CRITICAL,
    "Only the account that scanned a login can confirm it.",
    "Store the account with the scan, and compare it in the step that confirms.",
)
def other_confirms(scene: Scene) -> None:
    browser = scene.browser()
    login, _ = scene.scanned(browser)
    accepted = scene.target.confirm(scene.phone(scene.bob), login.code)
    account = scene.account(browser, login)
    if accepted or account:
        raise Flaw(
            f"{scene.bob} confirmed a login that {scene.alice} had scanned; "
            f"the browser is logged in as {account or 'no account'}"
        )


@check(
    "second-scan",
    Severity.HIGH,
    "One code can be scanned by one account.",
    "Go from pending to scanned in one atomic step, and refuse a scan of any other account.",
)
def second_scan(scene: Scene) -> None:
    browser = scene.browser()
    login, _ = scene.scanned(browser)
    if scene.target.scan(scene.phone(scene.bob), login.code):
        raise Flaw(f"{scene.bob} scanned a login that {scene.alice} had scanned")


@check(
    "other-login",
    Severity.CRITICAL,
    "An approval counts for one login: no other login is collected by it.",
    "Store the approval with the login, not with the browser, the account or the newest login.",
)
def other_login(scene: Scene) -> None:
    browser = scene.browser()
    other, attacker = scene.begin(browser), scene.browser("an attacker's browser")
    own = scene.begin(attacker)
    scene.approved(browser)
    for device, login in ((attacker, own), (browser, other)):
        if account := scene.account(device, login):
            raise Flaw(
                f"{device.name} collected a login that nobody approved, because {account} "
                "approved another one"
            )


# Races


@check(
    "race-collect",
    Severity.HIGH,
    "Browsers that collect one login at the same moment get one session together.",
    "Decide in one atomic step of the store (a script, a compare-and-set, a UNIQUE row), not by "
    "reading first and writing later.",
)
def race_collect(scene: Scene) -> None:
    for _ in range(ROUNDS):
        browser = scene.browser()
        login, _ = scene.approved(browser)
        runners = [browser.copy() for _ in range(RUNNERS)]
        got = at_once([partial(scene.target.collect, each, login) for each in runners])
        if (made := scene.sessions(zip(runners, got, strict=True))) > 1:
            raise Flaw(f"{RUNNERS} copies of a browser got {made} sessions at once")
        if not any(got):
            raise Broken(f"none of {RUNNERS} copies of a browser could collect its login")


@check(
    "race-scan",
    Severity.HIGH,
    "Of two phones that scan one code at the same moment, one gets it.",
    "Decide in one atomic step of the store who has scanned.",
)
def race_scan(scene: Scene) -> None:
    for _ in range(ROUNDS):
        browser = scene.browser()
        login = scene.begin(browser)
        phones = [
            scene.phone(account)
            for account in (scene.alice, scene.bob)
            for _ in range(RUNNERS // 2)
        ]
        got = at_once([partial(scene.target.scan, each, login.code) for each in phones])
        won = {phone.account for phone, accepted in zip(phones, got, strict=True) if accepted}
        if len(won) > 1:
            raise Flaw("two accounts scanned one code at once")
        confirmed = {each.account for each in phones if scene.target.confirm(each, login.code)}
        account = scene.account(browser, login)
        if confirmed - won or (account and account not in won):
            raise Flaw(f"{account or confirmed.pop()} won a race that it had lost")


# How a login ends


@check(
    "denied",
    Severity.CRITICAL,
    "A login that was denied logs nothing in, also if it is confirmed later.",
    "Make denied a final state, and check it in confirm and in collect.",
)
def denied(scene: Scene) -> None:
    if (deny := scene.target.deny) is None:
        raise NotApplicable("give deny")
    _ended_by(scene, "denied", lambda _, phone, login: deny(phone, login.code))


@check(
    "cancelled",
    Severity.HIGH,
    "A login that its browser gave up logs nothing in, also if it is confirmed later.",
    "Make cancelled a final state, and check it in confirm and in collect.",
)
def cancelled(scene: Scene) -> None:
    if (cancel := scene.target.cancel) is None:
        raise NotApplicable("give cancel")
    _ended_by(scene, "cancelled", lambda browser, _, login: cancel(browser, login))


def _ended_by(scene: Scene, word: str, end: Callable[[Browser, Phone, Login], bool]) -> None:
    browser = scene.browser()
    login, phone = scene.scanned(browser)
    if not end(browser, phone, login):
        raise Broken(f"a login could not be {word}")
    accepted = scene.target.confirm(phone, login.code)
    if account := scene.account(browser, login):
        raise Flaw(f"a {word} login was collected as {account}")
    if accepted:
        raise Flaw(f"a {word} login was confirmed")


@check(
    "expired-code",
    Severity.HIGH,
    "A code that is older than a login may be cannot be scanned.",
    "Store the end of a login when it begins, and compare it with the server's clock in each step.",
)
def expired_code(scene: Scene) -> None:
    browser = scene.browser()
    login = scene.begin(browser)
    _let_it_expire(scene)
    phone = scene.phone(scene.alice)
    accepted = scene.target.scan(phone, login.code) and scene.target.confirm(phone, login.code)
    account = scene.account(browser, login)
    if accepted or account:
        raise Flaw(f"a code was approved {scene.target.lifetime + 1} s after its login had begun")


@check(
    "expired-approval",
    Severity.HIGH,
    "An approval that was not collected in time logs nothing in.",
    "Check the end of a login when it is collected, too.",
)
def expired_approval(scene: Scene) -> None:
    browser = scene.browser()
    login, _ = scene.approved(browser)
    _let_it_expire(scene)
    if account := scene.account(browser, login):
        raise Flaw(f"an approval of {account} was collected {scene.target.lifetime + 1} s later")


def _let_it_expire(scene: Scene) -> None:
    if not scene.target.lifetime:
        raise NotApplicable("give pass_time, such as time.sleep, and lifetime")
    scene.lets_pass(scene.target.lifetime + 1)


@check(
    "long-lived",
    Severity.MEDIUM,
    f"A login ends at most {MAX_LIFETIME} seconds after it has begun.",
    "Shorten the lifetime: an old code can be photographed and reused (NIST SP 800-63B-4 section "
    "3.1.3.2).",
)
def long_lived(scene: Scene) -> None:
    if not scene.target.lifetime:
        raise NotApplicable("give lifetime, in seconds")
    if scene.target.lifetime > MAX_LIFETIME:
        raise Flaw(f"a login lives for {scene.target.lifetime} s")


@check(
    "superseded",
    Severity.MEDIUM,
    "A code that another one has replaced on the screen cannot be scanned any more.",
    "Let a code carry its own deadline, shortly after the next one replaces it.",
)
def superseded(scene: Scene) -> None:
    if scene.target.code_now is None:
        raise NotApplicable("the code does not change; or give code_now and rotates_after")
    browser = scene.browser()
    login = scene.begin(browser)
    scene.lets_pass(scene.target.rotates_after)
    newer = scene.target.code_now(browser, login)
    if newer == login.code:
        raise Flaw(f"after {scene.target.rotates_after} s, the screen shows the same code")
    phone = scene.phone(scene.alice)
    if scene.target.scan(phone, login.code):
        raise Flaw("a code was scanned after another one had replaced it")
    if not scene.target.scan(phone, newer):
        raise Broken("the newer code could not be scanned")


# Who is logged in, and where


@check(
    "planted-cookie",
    Severity.CRITICAL,
    "An attacker who plants cookies in a browser cannot collect the login that it begins.",
    "Draw a new secret for each login, and keep none that the browser brings along.",
)
def planted_cookie(scene: Scene) -> None:
    attacker = scene.browser("an attacker's browser")
    planted = scene.begin(attacker)
    if not attacker.cookies:
        raise NotApplicable("begin sets no cookie in the audit's browser")
    victim = scene.browser("a victim's browser")
    victim.cookies = dict(attacker.cookies)
    login, _ = scene.approved(victim)
    for known in (*guesses_at(login), planted):
        if account := scene.account(attacker.copy(), known):
            raise Flaw(f"an attacker collected the login of {account} with cookies planted before")


@check(
    "session-fixation",
    Severity.HIGH,
    "A login starts a new session: cookies from before it are not logged in.",
    "Drop the old session and draw a new id when a browser is logged in.",
)
def session_fixation(scene: Scene) -> None:
    who = scene.target.who
    if who is None:
        raise NotApplicable("give who")
    browser = scene.browser()
    who(browser)  # the server may start a session
    login, _ = scene.approved(browser)
    before = browser.copy()
    if scene.account(browser, login) != scene.alice:
        raise Broken("the browser could not collect its approved login")
    if account := who(before):
        raise Flaw(f"cookies that were copied before the login are logged in as {account}")


@check(
    "asks-first",
    Severity.MEDIUM,
    "The browser shows who approved before it is logged in: an attacker may have scanned first.",
    'Show "continue as …?" and collect only when the person at the browser says yes.',
)
def asks_first(scene: Scene) -> None:
    browser = scene.browser()
    login, _ = scene.approved(browser)
    if not _asked_as(scene, browser, login).strip():
        raise Flaw("the browser shows no name before it collects")
    scene.poll(browser, login)
    if scene.target.who is not None and (account := scene.target.who(browser)):
        raise Flaw(f"the browser is logged in as {account} before its person says yes")


@check(
    "equal-masks",
    Severity.MEDIUM,
    "Two accounts are shown by different names in the question of the browser.",
    "Show the full name, which is unique, once the phone has confirmed: a mask can be imitated.",
)
def equal_masks(scene: Scene) -> None:
    shown = []
    for account in scene.target.accounts:
        browser = scene.browser()
        login, _ = scene.approved(browser, account)
        shown.append(_asked_as(scene, browser, login))
    if shown[0] == shown[1]:
        raise Flaw(f"{scene.alice} and {scene.bob} are both shown as {shown[0]!r}")


def _asked_as(scene: Scene, browser: Browser, login: Login) -> str:
    if scene.target.asked_as is None:
        raise NotApplicable(
            "give asked_as; without such a question, an attacker who scans the code first logs "
            "the browser in to their own account"
        )
    return scene.target.asked_as(browser, login)


# What strangers can spoil, and guess


@check(
    "bystander",
    Severity.MEDIUM,
    "Strangers who poll, collect and confirm in vain do not spoil an honest login.",
    "Refuse strangers without changing the login.",
)
def bystander(scene: Scene) -> None:
    browser = scene.browser()
    login, phone = scene.scanned(browser)
    for stranger in scene.strangers():
        scene.poll(stranger, login)
        scene.target.collect(stranger, login)
    scene.target.confirm(scene.phone(scene.bob), login.code)
    if not scene.target.confirm(phone, login.code):
        raise Flaw("an honest phone could not confirm after strangers had tried")
    for stranger in scene.strangers():
        scene.target.collect(stranger, login)
    if scene.account(browser, login) != scene.alice:
        raise Flaw("an honest browser could not collect after strangers had tried")


@check(
    "guesses",
    Severity.HIGH,
    "An account that types many wrong codes is stopped, so short codes cannot be guessed.",
    "Count wrong codes for each account, and refuse also the right one after a few (RFC 8628 "
    "section 5.1).",
)
def guesses(scene: Scene) -> None:
    if not scene.target.typed:
        raise NotApplicable("the code is not typed")
    browser, phone = scene.browser(), scene.phone(scene.bob)
    login = scene.begin(browser)
    letters = sorted({*login.code, *scene.begin(browser).code} - {"-", " "})
    for number in range(_GUESSES):
        if attempt(partial(scene.target.scan, phone, _other(login.code, number, letters))):
            raise Broken("a code that differs from a right one in one letter was accepted")
    if attempt(partial(scene.target.scan, phone, login.code)):
        raise Flaw(f"an account that had typed {_GUESSES} wrong codes could type the right one")


def _other(code: str, number: int, letters: Sequence[str]) -> str:
    """The code with another letter at one place."""
    places = [place for place, letter in enumerate(code) if letter in letters]
    place = places[number % len(places)]
    step = 1 + number // len(places) % (len(letters) - 1)
    letter = letters[(letters.index(code[place]) + step) % len(letters)]
    return code[:place] + letter + code[place + 1 :]
