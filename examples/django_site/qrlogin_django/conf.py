"""The QRLOGIN setting: what may stand in it, and what is wrong with it. Nothing is kept open and nothing started."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from qrlogin import STANDARD, Misconfigured
from qrlogin.core import Core
from qrlogin.stores import open_store

SHARE: Final = 'set QRLOGIN["STORE"] to the redis:// address of a Redis that all of them reach'


def callback(named: Any) -> Any:
    """A function, or the one that a dotted path leads to. Raises `Misconfigured` or ImportError."""
    found = import_string(named) if isinstance(named, str) else named
    if not callable(found):
        raise Misconfigured("it must be a function, or the dotted path of one")
    return found


def _uri(uri: Any) -> None:
    Core(secret_keys=[bytes(range(32))], verification_uri=uri, audience=None, policy=STANDARD)


def _secret_keys(keys: Any) -> None:
    Core(secret_keys=keys, verification_uri="http://127.0.0.1/qr", audience=None, policy=STANDARD)


def _store(address: Any) -> None:
    open_store(address).close()  # a Redis is not asked yet


def _places(number: Any) -> None:
    if number is not None and (
        not isinstance(number, int) or isinstance(number, bool) or number < 0
    ):
        raise Misconfigured(
            "it must be a whole number from 0 on: half of the threads of a server process, or 0 if it has one"
        )


def _yes_or_no(value: Any) -> None:
    if not isinstance(value, bool):
        raise Misconfigured("it must be True or False")


class Key(NamedTuple):
    default: Any
    check: str  # the number under which checks.py speaks of it
    tried: Callable[[Any], object]  # raises `Misconfigured` or ImportError for what cannot be used


KEYS: Final[Mapping[str, Key]] = {
    "VERIFICATION_URI": Key("", "E003", _uri),
    "SECRET_KEYS": Key((), "E002", _secret_keys),
    "STORE": Key("memory", "E004", _store),
    "MAX_WAITING": Key(None, "E005", _places),
    "LIFETIME": Key(STANDARD.lifetime, "E005", STANDARD.with_lifetime),
    "USER_CODES": Key(False, "E005", _yes_or_no),
    "PERSON": Key("qrlogin_django.auth.person", "E006", callback),
    "LOG_IN": Key("qrlogin_django.auth.log_in", "E006", callback),
    "LOG_OUT": Key("qrlogin_django.auth.log_out", "E006", callback),
    "TOKENS": Key("qrlogin_django.adapter.missing", "E006", callback),
}


def option(name: str) -> Any:
    return getattr(settings, "QRLOGIN", {}).get(name, KEYS[name].default)


def problems() -> list[tuple[str, str]]:
    """What is wrong with it: the number of the check, and what to do. The pages of the site are not looked at here."""
    given = getattr(settings, "QRLOGIN", None)
    if not isinstance(given, dict):
        return [("E001", f"settings.py needs a dict QRLOGIN. Its keys are {', '.join(KEYS)}.")]
    found = []
    if unknown := sorted(str(name) for name in given if name not in KEYS):
        found.append(
            (
                "E001",
                f"QRLOGIN has unknown keys: {', '.join(unknown)}. Known are {', '.join(KEYS)}.",
            )
        )
    for name, key in KEYS.items():
        try:
            key.tried(option(name))
        except (Misconfigured, ImportError) as error:
            found.append((key.check, f'QRLOGIN["{name}"]: {error}'))
    return found


def several() -> str:
    """What is wrong where this is one of several processes, each of which would keep its logins in its own memory; else "".

    Servers run no checks, and say nothing of their processes before the first request. What can be known is what their command
    says, and WEB_CONCURRENCY where they read it.
    """
    command = " ".join(sys.argv[1:])
    if "gunicorn" in sys.argv[0]:
        command = f"{os.environ.get('GUNICORN_CMD_ARGS', '')} {command}"
    said = re.findall(r"(?<!\S)(?:--workers[ =]|-w ?)(\d+)", command)
    if not said and not sys.modules.keys().isdisjoint({"gunicorn", "uvicorn"}):
        said = [os.environ.get("WEB_CONCURRENCY") or "1"]
    if not said or said[-1] == "1" or option("STORE") != "memory":
        return ""
    return f"{said[-1]} worker processes do not share logins in memory: {SHARE}"
