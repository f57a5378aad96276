"""`python -m qrlogin`: the commands demo, phone, audit, doctor, elements and keygen.

This module reads the command line. The work of each command is elsewhere.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Final

#: A code that begins with a dash, as one in 64 does. No option is as long.
_DASHED_CODE: Final = re.compile(r"-[\w.-]{21,}(==)?", re.ASCII)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    The code is 0 if the command did its work, 1 if it was refused or failed, 2 for a command line
    that is not valid, and for an audit that could not be made.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal with a narrow encoding cannot spell every name and mark.
            stream.reconfigure(errors="replace")
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
    if command == "audit":
        from qrlogin.audit import command as audit

        if parsed.list:
            return audit.list_checks()
        return audit.run(parsed.target, only=parsed.only, as_json=parsed.json)
    if command == "doctor":
        from qrlogin.doctor import command as doctor

        return doctor.run(
            store=parsed.store,
            url=parsed.url,
            login=parsed.login,
            keys=parsed.keys,
            as_json=parsed.json,
        )
    if command == "elements":
        from qrlogin.browser import package

        print(package.write(parsed.folder))
        return 0
    if command == "phone":
        from qrlogin.demo import phone

        return phone.run(parsed.act, parsed.text, name=parsed.name, server=parsed.server)
    try:
        from qrlogin.demo import run
    except ImportError as error:  # waitress is missing
        print(f"qrlogin demo: {error}", file=sys.stderr)
        return 2
    return run.run(parsed)


class _Version(argparse.Action):
    """Reads the version only if it is asked for: that takes longer than most commands need."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print("qrlogin", version("qrlogin"))
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m qrlogin", description="Log a browser in by scanning a QR code with a phone."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="serve a login page and simulated phones to try out")
    demo.add_argument(
        "--port", type=_port, help="the port to listen on (default: 8000, or the next free one)"
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
        help="how long a login lives: 1 to 600 (default: 120, or the dialect's)",
    )
    demo.add_argument(
        "--match-digits",
        type=int,
        default=0,
        choices=(0, 2, 3),
        help="how many digits the browser shows for the phone to type (default: 0)",
    )
    demo.add_argument(
        "--dialects",
        default="",
        metavar="all|NAMES",
        help="serve these dialects beside the native one: wechat,rfc8628,…",
    )
    demo.add_argument(
        "--key",
        help="the secret key; several demos on one Redis need the same. "
        "Or set QRLOGIN_DEMO_KEY, which ps cannot see",
    )
    demo.add_argument(
        "--origin",
        metavar="URL",
        help="the address that users see, if it is not the demo's own, as behind a proxy",
    )
    demo.add_argument(
        "--lan",
        action="store_true",
        help="let a real phone in your network connect: not encrypted, for trials only",
    )
    demo.add_argument(
        "--log",
        action="store_true",
        help="write one line for each request to stderr; no line holds a code",
    )
    demo.add_argument(
        "--self-check",
        action="store_true",
        help="play both sides, report what works, and exit: with 0 if everything does",
    )

    phone = commands.add_parser("phone", help="act as a phone of one of the demo's users")
    phone.add_argument(
        "--server", metavar="URL", help="address of the demo (default: that of TEXT)"
    )
    phone.add_argument(
        "--as",
        dest="name",
        required=True,
        metavar="NAME",
        help="the user whose phone it is: alice or bob",
    )
    phone.add_argument(
        "act",
        choices=("look", "scan", "confirm", "deny", "release", "approve", "outcome"),
        help="approve is scan, then confirm; deny scans first, too",
    )
    phone.add_argument(
        "text",
        metavar="TEXT",
        help="the text of a QR code of any dialect, the code alone, or the code to type",
    )

    audit = commands.add_parser(
        "audit", help="attack a QR login of yours, and report which defences are missing"
    )
    what = audit.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "target",
        nargs="?",
        metavar="FILE[:NAME]",
        help="a Python file with the target to audit, which is called NAME (default: target)",
    )
    what.add_argument("--list", action="store_true", help="list the checks instead")
    audit.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CHECK",
        help="make only this check besides an honest login; may be repeated",
    )
    audit.add_argument("--json", action="store_true", help="print the report as JSON")

    doctor = commands.add_parser(
        "doctor", help="look at a store, a running site and a policy, and say what to fix"
    )
    doctor.add_argument(
        "--store",
        default=os.environ.get("QRLOGIN_STORE", ""),
        metavar="ADDRESS",
        help="the store to look at (default: that of QRLOGIN_STORE)",
    )
    doctor.add_argument(
        "--url",
        default="",
        metavar="URL",
        help="the mount of a running site, such as https://example.com/qrlogin/",
    )
    doctor.add_argument(
        "--login",
        default="",
        metavar="MODULE:NAME",
        help="the application's QRLogin, or a function that returns it, such as shop.login:qr",
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    # From the environment only: ps shows the command line of every process.
    doctor.set_defaults(keys=os.environ.get("QRLOGIN_SECRET_KEYS", ""))

    elements = commands.add_parser(
        "elements", help="write the browser elements as an npm package, for a build of your own"
    )
    elements.add_argument(
        "folder", metavar="FOLDER", help="where to write it; what it wrote is replaced"
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
