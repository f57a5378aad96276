"""A QR login without qrlogin, in one class: correct, or broken in one way by a switch of `FLAWS`.

It is a small WSGI application with its own clock. Its target, for the audit, is `target()`.
"""

import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from qrlogin.audit import Answer, Browser, Login, Phone, Seen, Session, Target, over_http, over_wsgi

ORIGIN = "http://broken.example"
ALICE, ANNIE = "alice", "annie"  # whose masks are equal
PRIVATE = {ALICE: ["account-1001", "alice@example.com"], ANNIE: ["account-1002"]}
ROTATION, GRACE, LIFETIME = 30, 15, 120
STORE_S = 0.03  # how long its store takes, where that opens a race
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"

#: Each way to break it, and what it means.
FLAWS: Mapping[str, str] = {
    "any browser collects": "the secret of the browser is not compared when it collects",
    "any secret collects": "collect accepts the secret of any login",
    "the code collects": "collect accepts the code in place of the id, and asks for no secret",
    "any browser polls": "the secret of the browser is not compared when it polls",
    "a login is collected twice": "a collected login stays confirmed",
    "a used id still logs in": "after a login, its id logs in any browser",
    "a used code is scanned": "a scan of a used login begins it again",
    "the phone of a used code hears yes": "scan and confirm answer 200 for a used code",
    "the phone of a denied login hears yes": "confirm answers 200 for a denied login",
    "ids are counted": "the id is a counter",
    "ids are hashes of a counter": "the id is the MD5 of a counter",
    "ids are short": "the id has six digits",
    "ids are times": "the id is a UUID of version 1",
    "codes are counted": "the code ends in a counter",
    "a browser chooses the id": "begin takes the id from a field, if it is there",
    "a browser chooses the id in the only other field": "begin takes `id`, and nothing else",
    "a browser chooses the id in the query": "begin takes the id from the query",
    "the phone names the account in the only other field": "scan takes `sub`, and nothing else",
    "the phone names the account by its number": "scan and confirm take the account's id",
    "the phone names the account": "scan and confirm take the account from a field",
    "scan needs no credential": "scan and confirm take an unknown phone for that of alice",
    "confirm needs no credential": "confirm does not ask who is on the phone",
    "any credential confirms": "confirm accepts every value of the phone's cookie",
    "polls hold private data": "a poll answers with the account's id and mail address",
    "nothing has to be scanned": "a login that no phone scanned is collected as a default account",
    "nothing has to be confirmed": "a login is collected as soon as it is scanned",
    "nothing has to be scanned before confirm": "a pending login can be confirmed",
    "anyone confirms": "another account than the one that scanned can confirm",
    "the last scan counts": "a second account can scan, and replaces the first",
    "an approval opens other logins": "a pending login is collected by the newest approval",
    "an approval opens the browser": "an approval opens all logins of its browser",
    "collect reads, then writes": "two requests that collect at once both read confirmed",
    "scan reads, then writes": "two phones that scan at once both read pending",
    "denied is forgotten": "a denied login can be confirmed",
    "cancelled is forgotten": "a cancelled login can be confirmed",
    "codes do not expire": "a code can be scanned after the end of its login",
    "approvals do not expire": "an approval can be collected after the end of its login",
    "logins live for a day": "the lifetime is 86 400 seconds",
    "older codes stay valid": "a code that was replaced can be scanned",
    "codes do not rotate": "the screen always shows the first code",
    "planted secrets are kept": "begin keeps a secret that the browser brings along",
    "the session is kept": "the session's id does not change when a browser is logged in",
    "a poll logs in": "a confirmed login logs its browser in before it is asked",
    "the browser is not asked": "the browser does not show who approved",
    "the browser shows a mask": "the browser shows a•••e, for alice and for annie",
    "opening the code scans": "the page of a code scans it when it is opened",
    "scan by GET": "a GET scans",
    "confirm by GET": "a GET confirms",
    "any site approves": "Origin is not checked, and the phone's cookie is sent",
    "unknown ids are told": "a poll answers 403 to a stranger, and 404 if the id does not exist",
    "answers are cached": "answers have no Cache-Control",
    "scripts read the cookie": "the cookie of a login is not HttpOnly",
    "other sites send the cookie": "the cookie of a login has no SameSite",
    "the page is framed": "the approve page can be shown in a frame",
    "the page leaks its address": "the approve page has no Referrer-Policy",
    "the secret is in the address": "the browser's secret is in the query of a poll",
    "the page shows the user agent": "the approve page shows the User-Agent as it was sent",
    "the page shows a name": "the approve page shows the field `client_name`",
    "a stranger ends the login": "a refused poll deletes the login",
    "wrong codes are not counted": "typed codes can be guessed",
}
#: Flaws of codes to type. They break the server whose codes are typed.
TYPED = ("wrong codes are not counted",)


class Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class Asked:
    """One request, and the cookies that its answer sets."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.query = dict(parse_qsl(environ["QUERY_STRING"]))
        size = int(environ.get("CONTENT_LENGTH") or 0)
        raw = environ["wsgi.input"].read(size) if size else b""
        # It reads JSON from a body of any type, so that its check of Origin is its only defence.
        read = json.loads(raw) if raw.startswith(b"{") else dict(parse_qsl(raw.decode()))
        self.body: dict[str, str] = read
        self.fields = {**self.query, **self.body}
        morsels = SimpleCookie(environ.get("HTTP_COOKIE", ""))
        self.jar = {name: morsel.value for name, morsel in morsels.items()}
        self.agent: str = environ.get("HTTP_USER_AGENT", "")
        self.set_cookies = list[str]()


class Server:
    """The application. `typed` makes the codes short."""

    def __init__(self, *flaws: str, typed: bool = False) -> None:
        assert {*flaws} <= FLAWS.keys()
        self.flaws, self.typed = {*flaws}, typed or any(each in TYPED for each in flaws)
        self.now, self.count = 1_000_000, 1000
        self.lock = threading.Lock()
        self.logins: dict[str, dict[str, Any]] = {}
        self.codes: dict[str, tuple[str, int]] = {}  # the id of its login, and when it was drawn
        self.phones: dict[str, str] = {}
        self.sessions: dict[str, str] = {}
        self.wrong: dict[str, int] = {}
        self.newest = ""

    def has(self, flaw: str) -> bool:
        assert flaw in FLAWS
        return flaw in self.flaws

    @property
    def lifetime(self) -> int:
        return 86_400 if self.has("logins live for a day") else LIFETIME

    # HTTP

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        path, asked = environ["PATH_INFO"], Asked(environ)
        headers = [("Content-Type", "application/json")]
        if not self.has("answers are cached"):
            headers.append(("Cache-Control", "no-store"))
        try:
            if path == "/approve":
                status, text = 200, self.page(asked)
                headers[0] = ("Content-Type", "text/html")
                if not self.has("the page is framed"):
                    headers.append(("Content-Security-Policy", "frame-ancestors 'none'"))
                if not self.has("the page leaks its address"):
                    headers.append(("Referrer-Policy", "no-referrer"))
            else:
                handle = getattr(self, "on_" + path.removeprefix("/"))
                self.check_method(path, environ)
                status, text = 200, json.dumps(handle(asked))
        except Refused as refused:
            status, text = refused.status, '{"error":"refused"}'
        headers += [("Set-Cookie", each) for each in asked.set_cookies]
        start_response(f"{status} OK", headers)
        return [text.encode()]

    def check_method(self, path: str, environ: Mapping[str, Any]) -> None:
        if path in ("/poll", "/me", "/code"):
            return
        by_get = (path == "/scan" and self.has("scan by GET")) or (
            path == "/confirm" and self.has("confirm by GET")
        )
        if environ["REQUEST_METHOD"] != "POST" and not by_get:
            raise Refused(405)
        origin = environ.get("HTTP_ORIGIN", "")
        if origin not in ("", self.served_at) and not self.has("any site approves"):
            raise Refused(403)

    served_at = ORIGIN

    # The browser

    def on_begin(self, asked: Asked) -> dict[str, Any]:
        self.count += 1
        drawn = secrets.token_hex(16)
        if self.has("ids are counted"):
            drawn = f"login-{self.count:08}"
        if self.has("ids are hashes of a counter"):
            drawn = hashlib.md5(str(self.count).encode()).hexdigest()
        if self.has("ids are short"):
            drawn = f"{secrets.randbelow(10**6):06}"
            while drawn in self.logins:
                drawn = f"{secrets.randbelow(10**6):06}"
        if self.has("ids are times"):
            drawn = f"{self.count * 4211:08x}-1b2c-11f0-8c1e-0242ac120002"
        if self.has("a browser chooses the id in the only other field"):
            if asked.fields.keys() - {"id"}:
                raise Refused(400)
            drawn = asked.fields.get("id", drawn)
        if self.has("a browser chooses the id"):
            drawn = asked.body.get("id", drawn)
        if self.has("a browser chooses the id in the query"):
            drawn = asked.query.get("uuid", drawn)
        secret = secrets.token_urlsafe(16)
        if self.has("planted secrets are kept"):
            secret = next(
                (value for name, value in asked.jar.items() if name[:6] == "login-"), secret
            )
        known = asked.agent if self.has("the page shows the user agent") else "Firefox"
        if self.has("the page shows a name"):
            known = asked.body.get("client_name", known)
        self.logins[drawn] = {
            "state": "pending",
            "secret": secret,
            "account": "",
            "browser": known,
            "ends": self.now + self.lifetime,
            "jar": {*asked.jar.values()},
        }
        flags = "" if self.has("other sites send the cookie") else "; SameSite=Lax"
        flags += "" if self.has("scripts read the cookie") else "; HttpOnly"
        asked.set_cookies.append(f"login-{drawn}={secret}; Path=/{flags}")
        return {"id": drawn, "code": self.draw_code(drawn), "secret": secret}

    def draw_code(self, login_id: str) -> str:
        if self.typed:
            letters = "".join(secrets.choice(LETTERS) for _ in range(8))
            code = f"{letters[:4]}-{letters[4:]}"
        elif self.has("codes are counted"):
            code = f"{self.served_at}/approve?code={self.count}"
        else:
            code = f"{self.served_at}/approve?code={secrets.token_urlsafe(16)}"
        self.codes[code] = login_id, self.now
        return code

    def own(self, asked: Asked, flaw: str) -> dict[str, Any]:
        """The login of this browser. Any other is refused, like one that does not exist."""
        if self.has("the code collects") and flaw == "any browser collects":
            for code, (login_id, _) in self.codes.items():
                if code.endswith(f"code={asked.fields['id']}"):
                    return self.logins[login_id]
        login = self.logins.get(asked.fields.get("id", ""))
        given = asked.jar.get(f"login-{asked.fields.get('id', '')}", asked.fields.get("secret", ""))
        if login is None:
            raise Refused(404)
        if given == login["secret"] or self.has(flaw):
            return login
        if self.has("any secret collects") and flaw == "any browser collects":
            known = {each["secret"] for each in self.logins.values()}
            if known & {*asked.jar.values()}:
                return login
        if self.has("planted secrets are kept") and login["secret"] in asked.jar.values():
            return login
        if self.has("a used id still logs in") and login["state"] == "used":
            return login
        if self.has("a stranger ends the login"):
            self.logins.pop(asked.fields["id"])
        raise Refused(403 if self.has("unknown ids are told") else 404)

    def on_poll(self, asked: Asked) -> dict[str, Any]:
        login = self.own(asked, "any browser polls")
        state = login["state"]
        if self.now > login["ends"]:
            state = "ended"
        answer = {"state": "ended" if state in ("used", "denied", "cancelled") else state}
        if login["state"] == "confirmed":
            if not self.has("the browser is not asked"):
                mask = f"{login['account'][0]}•••{login['account'][-1]}"
                answer["name"] = mask if self.has("the browser shows a mask") else login["account"]
            if self.has("polls hold private data"):
                answer["user"] = " ".join(PRIVATE[login["account"]])
            if self.has("a poll logs in"):
                self.log_in(login["account"], asked)
        return answer

    def on_code(self, asked: Asked) -> dict[str, Any]:
        self.own(asked, "any browser polls")
        codes = [
            (drawn, code) for code, (of, drawn) in self.codes.items() if of == asked.fields["id"]
        ]
        drawn, code = max(codes)
        if self.now - drawn >= ROTATION and not self.has("codes do not rotate"):
            code = self.draw_code(asked.fields["id"])
        return {"code": code}

    def on_collect(self, asked: Asked) -> dict[str, Any]:
        login = self.own(asked, "any browser collects")
        if self.now > login["ends"] and not self.has("approvals do not expire"):
            raise Refused(410)
        accepted = {"confirmed"}
        accepted |= {"pending"} if self.has("nothing has to be scanned") else set()
        accepted |= {"scanned"} if self.has("nothing has to be confirmed") else set()
        accepted |= {"used"} if self.has("a used id still logs in") else set()
        if self.has("an approval opens other logins") and login["state"] == "pending":
            read = "confirmed" if self.newest else "pending"
            login = {**login, "state": read, "account": self.newest}
        if self.has("an approval opens the browser"):
            for other in self.logins.values():
                if other["state"] == "confirmed" and other["secret"] in asked.jar.values():
                    login = other
        if self.has("collect reads, then writes"):
            read = login["state"]
            time.sleep(STORE_S)  # as a store that is asked over a network
            login["state"] = "used" if read in accepted else read
        else:
            with self.lock:
                read = login["state"]
                if read in accepted and not self.has("a login is collected twice"):
                    login["state"] = "used"
        if read not in accepted:
            raise Refused(409)
        return self.log_in(login["account"] or "admin", asked)

    def log_in(self, account: str, asked: Asked) -> dict[str, Any]:
        session = secrets.token_urlsafe(16)
        if self.has("the session is kept"):
            session = asked.jar.get("session", session)
        else:
            self.sessions.pop(asked.jar.get("session", ""), None)
        self.sessions[session] = account
        asked.set_cookies.append(f"session={session}; Path=/; HttpOnly; SameSite=Lax")
        return {"account": account}

    def on_cancel(self, asked: Asked) -> dict[str, Any]:
        login = self.own(asked, "any browser collects")
        if not self.has("cancelled is forgotten"):
            login["state"] = "cancelled"
        return {}

    def on_me(self, asked: Asked) -> dict[str, Any]:
        if "session" not in asked.jar:
            asked.set_cookies.append(f"session={secrets.token_urlsafe(16)}; HttpOnly; SameSite=Lax")
        return {"account": self.sessions.get(asked.jar.get("session", ""), "")}

    # The phone

    def on_signin(self, asked: Asked) -> dict[str, Any]:
        token = secrets.token_urlsafe(16)
        self.phones[token] = asked.fields["name"]
        asked.set_cookies.append(f"phone={token}; HttpOnly; SameSite=Lax")
        return {}

    def page(self, asked: Asked) -> str:
        code = asked.query.get("code", "")
        found = [each for each in self.codes if each == code or each.endswith(f"code={code}")]
        if not found:
            raise Refused(404)
        login = self.logins[self.codes[found[0]][0]]
        if self.has("opening the code scans"):
            login["state"] = "scanned"
        return f"<!doctype html><p>Log in {html.escape(login['browser'])}?</p><button>No</button>"

    def person(self, asked: Asked) -> str:
        account = self.phones.get(asked.jar.get("phone", ""), "")
        if self.has("the phone names the account in the only other field"):
            if asked.fields.keys() - {"code", "sub"}:
                raise Refused(400)
            account = asked.fields.get("sub", account)
        if self.has("the phone names the account by its number"):
            named = asked.fields.get("userId", "")
            account = next((name for name, facts in PRIVATE.items() if named in facts), account)
        if self.has("the phone names the account"):
            account = asked.fields.get("user_id", account)
        if self.has("scan needs no credential"):
            account = account or ALICE
        return account

    def coded(self, asked: Asked, account: str) -> dict[str, Any]:
        """The login of this code."""
        if self.wrong.get(account, 0) >= 5 and not self.has("wrong codes are not counted"):
            raise Refused(429)
        login_id, drawn = self.codes.get(asked.fields.get("code", ""), ("", 0))
        login = self.logins.get(login_id)
        if login is None:
            self.wrong[account] = self.wrong.get(account, 0) + self.typed
            raise Refused(404)
        if self.now > login["ends"] and not self.has("codes do not expire"):
            raise Refused(410)
        if login["state"] == "pending" and not self.has("older codes stay valid"):
            newer = [each for of, each in self.codes.values() if of == login_id and each > drawn]
            if newer and self.now - drawn > ROTATION + GRACE:
                raise Refused(410)
        return login

    def on_scan(self, asked: Asked) -> dict[str, Any]:
        if not (account := self.person(asked)):
            raise Refused(401)
        login = self.coded(asked, account)
        if self.has("the phone of a used code hears yes") and login["state"] == "used":
            return {}
        fit = {"pending"} | ({"used"} if self.has("a used code is scanned") else set())
        if self.has("the last scan counts"):
            fit.add("scanned")
        read = login["state"]
        if self.has("scan reads, then writes"):
            time.sleep(STORE_S)
        with self.lock:
            read = read if self.has("scan reads, then writes") else login["state"]
            if read not in fit and not (read == "scanned" and login["account"] == account):
                raise Refused(409)
            login["state"], login["account"] = "scanned", account
        return {"browser": login["browser"]}

    def on_confirm(self, asked: Asked) -> dict[str, Any]:
        account = self.person(asked)
        login = self.coded(asked, account)
        unasked = self.has("confirm needs no credential") or (
            self.has("any credential confirms") and asked.jar.get("phone")
        )
        if not account and not unasked:
            raise Refused(401)
        if self.has("the phone of a used code hears yes") and login["state"] == "used":
            return {}
        if self.has("the phone of a denied login hears yes") and login["state"] == "denied":
            return {}
        fit = {"scanned"}
        if self.has("nothing has to be scanned before confirm") and login["state"] == "pending":
            fit, login["account"] = {"pending"}, account
        if login["state"] not in fit:
            raise Refused(409)
        if self.has("anyone confirms") and account:
            login["account"] = account
        elif account != login["account"] and not unasked:
            raise Refused(403)
        login["state"], self.newest = "confirmed", login["account"]
        return {}

    def on_deny(self, asked: Asked) -> dict[str, Any]:
        account = self.person(asked)
        login = self.coded(asked, account)
        if login["account"] != account:
            raise Refused(403)
        if not self.has("denied is forgotten"):
            login["state"] = "denied"
        return {}


def target(server: Server, origin: str = "") -> Target:
    """The server as a target, in this process, or over HTTP at an origin."""
    server.served_at = origin or ORIGIN

    def begin(browser: Browser) -> Login:
        begun = browser.post("/begin", json={}).json
        browser.keep[begun["id"]] = begun["secret"]
        return Login(begun["code"], begun["id"])

    def asked(browser: Browser, login: Login) -> Answer:
        secret = browser.keep[login.id] if server.has("the secret is in the address") else ""
        return browser.get(f"/poll?id={login.id}" + (f"&secret={secret}" if secret else ""))

    def poll(browser: Browser, login: Login) -> Seen:
        answer = asked(browser, login)
        seen: Seen = answer.json["state"] if answer else "refused"
        return seen

    def collect(browser: Browser, login: Login) -> Session | None:
        if not browser.post("/collect", json={"id": login.id}):
            return None
        account = who(browser)
        return Session(account, browser.cookies["session"]) if account else None

    def who(browser: Browser) -> str:
        return str(browser.get("/me").json["account"])

    def act(verb: str) -> Callable[[Phone, str], bool]:
        return lambda phone, code: bool(phone.post(f"/{verb}", json={"code": code}))

    def sign_in(phone: Phone) -> None:
        phone.post("/signin", json={"name": phone.account})

    def cancel(browser: Browser, login: Login) -> bool:
        return bool(browser.post("/cancel", json={"id": login.id}))

    def page(phone: Phone, code: str) -> Answer:
        return phone.get(f"/approve?code={code.rpartition('=')[2]}")

    def pass_time(seconds: int) -> None:
        server.now += seconds

    return Target(
        begin=begin,
        poll=poll,
        scan=act("scan"),
        confirm=act("confirm"),
        collect=collect,
        name="the broken server",
        origin=server.served_at,
        transport=over_http if origin else over_wsgi(server),
        accounts=(ALICE, ANNIE),
        sign_in=sign_in,
        deny=act("deny"),
        cancel=cancel,
        page=page,
        who=who,
        asked_as=lambda browser, login: str(asked(browser, login).json.get("name", "")),
        code_now=lambda browser, login: str(browser.get(f"/code?id={login.id}").json["code"]),
        rotates_after=ROTATION + GRACE + 1,
        pass_time=pass_time,
        lifetime=server.lifetime,
        private=PRIVATE,
        typed=server.typed,
    )
