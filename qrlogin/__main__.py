"""`python -m qrlogin`: demo, phone, keygen. It reads the command line; each command's work is elsewhere."""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Final

_DASHED: Final = re.compile(
    r"-[\w.-]{21,}(==)?", re.ASCII
)  # one code in 64 begins like an option, and none is so long


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 refused or not working, 2 a command that cannot be meant."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="replace"
            )  # names and marks that a narrow encoding cannot spell
    words = sys.argv[1:] if argv is None else list(argv)
    codes = [word for word in words if _DASHED.fullmatch(word)]
    if codes and words[0] == "phone" and "--" not in words:
        words = [*(word for word in words if word not in codes), "--", *codes]
    parsed = _parser().parse_args(words)
    command: str = parsed.command
    if command == "keygen":
        from qrlogin.keys import new_key

        print(new_key())
        return 0
    if command == "phone":
        from qrlogin.demo import phone

        return phone.run(parsed.act, parsed.text, name=parsed.name, server=parsed.server)
    from qrlogin.demo import run

    return run.run(parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m qrlogin", description="Log a browser in by scanning a QR code with a phone."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="a login page and phones to play with, on this machine")
    demo.add_argument(
        "--port", type=_port, help="listen here (default: 8000, or the next free one)"
    )
    demo.add_argument(
        "--store",
        default="memory",
        metavar="memory|redis://...",
        help="where logins are kept (default: memory)",
    )
    demo.add_argument(
        "--lifetime",
        type=int,
        metavar="SECONDS",
        help="of a login: 1 to 600 (default: 120, or the dialect's)",
    )
    demo.add_argument(
        "--dialects",
        default="",
        metavar="all|NAMES",
        help="speak these beside the native one: wechat,rfc8628,…",
    )
    demo.add_argument(
        "--key",
        help="sign with it, as several demos on one Redis must; or set QRLOGIN_DEMO_KEY, which ps cannot see",
    )
    demo.add_argument(
        "--origin",
        metavar="URL",
        help="the address that people see, if another one leads here (default: its own)",
    )
    demo.add_argument(
        "--lan",
        action="store_true",
        help="let a real phone in your network reach it: unencrypted, for a try only",
    )
    demo.add_argument(
        "--log",
        action="store_true",
        help="one line for each request on stderr; no line holds a code",
    )
    demo.add_argument(
        "--self-check",
        action="store_true",
        help="play both sides, say what works, and end: 0 if everything does",
    )

    phone = commands.add_parser("phone", help="a phone in this terminal, for the demo's people")
    phone.add_argument(
        "--server", metavar="URL", help="where the demo runs (default: where TEXT leads)"
    )
    phone.add_argument(
        "--as", dest="name", required=True, metavar="NAME", help="whose phone it is: alice or bob"
    )
    phone.add_argument(
        "act",
        choices=("scan", "confirm", "deny", "release", "approve"),
        help="approve is scan, then confirm; deny scans, too",
    )
    phone.add_argument(
        "text",
        metavar="TEXT",
        help="what a QR code of any dialect says, the code alone, or the code to type",
    )

    commands.add_parser("keygen", help="print a new secret key")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"a port is a number from 0 (any free one) to 65535, not {text!r}"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
