"""A server's access log holds no code and no ticket."""

import logging

from qrlogin.wire import HideCodes
from tests.security_rows import row
from tests.tables import for_each_row


class Atoms(dict[str, object]):
    """Stands for gunicorn's dict, which has "-" for each name that it does not know."""

    def __getitem__(self, name: str) -> object:
        return super().__getitem__(name) if name in self else "-"


CODE, TICKET = "A" * 43, "b" * 32


@row(19, 39, 461)
@for_each_row(
    "server, message, arguments, written",
    [
        (
            "uvicorn.access",
            '%s - "%s %s HTTP/%s" %d',
            ("127.0.0.1:50000", "GET", f"/member/loginByIm.do?token={TICKET}&webpas=x", "1.1", 302),
            '127.0.0.1:50000 - "GET /member/loginByIm.do?… HTTP/1.1" 302',
        ),
        (
            "uvicorn.access",
            '%s - "%s %s HTTP/%s" %d',
            ("127.0.0.1:50000", "GET", f"/qr/{CODE}", "1.1", 200),
            '127.0.0.1:50000 - "GET /qr/… HTTP/1.1" 200',
        ),
        (
            "uvicorn.access",
            '%s - "%s %s HTTP/%s" %d',
            ("::1:5", "GET", "/qr/WDJB-MJHT", "1.1", 200),
            '::1:5 - "GET /qr/… HTTP/1.1" 200',
        ),
        (
            "werkzeug",
            '127.0.0.1 - - [x] "%s" %s %s\n',
            (f"GET /l/{TICKET} HTTP/1.1", "302", "-"),
            '127.0.0.1 - - [x] "GET /l/… HTTP/1.1" 302 -\n',
        ),
        (
            "django.server",
            '"%s" %s %s',
            (f"GET /device?user_code=WDJB-MJHT&x={CODE} HTTP/1.1", "200", "5"),
            '"GET /device?… HTTP/1.1" 200 5',
        ),
        (  # gunicorn: one dict of atoms
            "gunicorn.access",
            '%(h)s "%(r)s" %(s)s "%(f)s"',
            (
                Atoms(
                    h="192.0.2.1",
                    r=f"GET /qr/{CODE} HTTP/1.1",
                    s="200",
                    f=f"https://example.com/device?user_code={TICKET}",
                ),
            ),
            '192.0.2.1 "GET /qr/… HTTP/1.1" 200 "https://example.com/device?…"',
        ),
        (
            "gunicorn.access",
            "%(U)s?%(q)s %({x-any}i)s %(p)d",
            (Atoms(U=f"/l/{TICKET}", q="user_code=WDJB-MJHT", p=7),),
            "/l/…?… - 7",  # what the server's dict has for a name without a value
        ),
        (
            "hypercorn.access",
            f'192.0.2.1 "GET /qr/{CODE} HTTP/1.1" 200',
            (),
            '192.0.2.1 "GET /qr/… HTTP/1.1" 200',
        ),
        (
            "hypercorn.access",
            f'192.0.2.1 "GET /device?user_code={TICKET}&x=50%25 HTTP/1.1" 200',
            None,
            '192.0.2.1 "GET /device?… HTTP/1.1" 200',
        ),
        ("uvicorn.access", "plain", None, "plain"),
        ("uvicorn.access", "%d %s", (7, "/qrlogin/phone/scan"), "7 /qrlogin/phone/scan"),
    ],
)
def test_codes_and_tickets_are_hidden(
    server: str, message: str, arguments: tuple[object, ...] | None, written: str
) -> None:
    record = logging.LogRecord(server, logging.INFO, "", 0, message, arguments, None)
    assert HideCodes().filter(record)
    assert record.getMessage() == written
