"""`python -m qrlogin`: the commands demo, phone and keygen. This module parses the command line."""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Final

# One code in 64 begins with a dash. No option is as long as a code.
_DASHED_CODE: Final = re.compile(r"-[\w.-]{21,}(==)?", re.ASCII)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code: 0 done, 1 rejected or failed, 2 wrong usage.

    :param argv: the arguments; None for those of the process
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # for names that the encoding cannot spell
    words = sys.argv[1:] if argv is None else list(argv)
    codes = [word for word in words if _DASHED_CODE.fullmatch(word)]
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

    demo = commands.add_parser(
        "demo", help="run a login page and phones to play with, on this machine"
    )
    demo.add_argument(
        "--port", type=_port, help="port to listen on (default: 8000, or the next free one)"
    )
    demo.add_argument(
        "--store",
        default="memory",
        metavar="memory|redis://...",
        help="where logins are stored (default: memory)",
    )
    demo.add_argument(
        "--lifetime",
        type=int,
        metavar="SECONDS",
        help="lifetime of a login, 1 to 600 (default: 120, or the dialect's own)",
    )
    demo.add_argument(
        "--dialects",
        default="",
        metavar="all|NAMES",
        help="other dialects to speak, such as wechat,rfc8628 (default: none)",
    )
    demo.add_argument(
        "--key",
        help="secret key, the same for all demos on one Redis (default: a new one); "
        "better set QRLOGIN_DEMO_KEY, which ps does not show",
    )
    demo.add_argument(
        "--origin",
        metavar="URL",
        help="the address that browsers use, behind a proxy (default: its own)",
    )
    demo.add_argument(
        "--lan",
        action="store_true",
        help="let real phones on your network use it, without encryption: for a trial only",
    )
    demo.add_argument(
        "--log",
        action="store_true",
        help="log requests to stderr, without codes",
    )
    demo.add_argument(
        "--self-check",
        action="store_true",
        help="play browser and phones, report each check, and exit with 0 if all passed",
    )

    phone = commands.add_parser("phone", help="act as a phone of the demo")
    phone.add_argument(
        "--server", metavar="URL", help="address of the demo (default: that of TEXT)"
    )
    phone.add_argument(
        "--as",
        dest="name",
        required=True,
        metavar="NAME",
        help="account on the phone: alice or bob",
    )
    phone.add_argument(
        "act",
        choices=("scan", "confirm", "deny", "release", "approve"),
        help="approve means scan and confirm; deny scans first",
    )
    phone.add_argument(
        "text",
        metavar="TEXT",
        help="the text of a QR code, the code alone, or a code to type",
    )

    commands.add_parser("keygen", help="print a new secret key")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"a port is a number from 0 (any free port) to 65535, not {text!r}"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
