"""The QRLOGIN setting: its keys, their defaults, and what is wrong with their values.

Checking a value opens no connection and starts nothing.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from qrlogin import STANDARD, Misconfigured, Policy
from qrlogin.arguments import check_callback
from qrlogin.contrib.shared import check_arguments
from qrlogin.core import Core
from qrlogin.stores import open_store
from qrlogin.wire import BrowserContext, Native
from qrlogin.wire.dialects.native_routes import MAX_WAIT
from qrlogin.wire.judge import JUDGE_CALL
from qrlogin.wire.pause import PAUSE_CALL

SHARE: Final = 'set QRLOGIN["STORE"] to the redis:// address of a Redis that all of them reach'


def callback(value: Any) -> Any:
    """The function, or the function at a dotted path. Raises `Misconfigured` or ImportError."""
    found = import_string(value) if isinstance(value, str) else value
    if not callable(found):
        raise Misconfigured("it must be a function, or the dotted path of one")
    return found


def _check_person(value: Any) -> None:
    check_arguments(callback(value), "person", "request")


def _check_log_in(value: Any) -> None:
    check_arguments(callback(value), "log_in", "request", "redeemed")


def _check_optional(value: Any) -> None:
    if value is not None:
        callback(value)


def _check_judge(value: Any) -> None:
    if value is not None:
        check_callback(callback(value), JUDGE_CALL)  # under ASGI it runs in a thread


def _check_pause(value: Any) -> None:
    if value is not None:
        check_callback(callback(value), PAUSE_CALL)  # under ASGI it runs in a thread


def _check_uri(uri: Any) -> None:
    Core(secret_keys=[bytes(range(32))], verification_uri=uri, audience=None, policy=STANDARD)


def _check_secret_keys(keys: Any) -> None:
    Core(secret_keys=keys, verification_uri="http://127.0.0.1/qr", audience=None, policy=STANDARD)


def _check_store(address: Any) -> None:
    open_store(address).close()  # this does not connect to a Redis


def _dialect(**options: Any) -> Native:
    """Raises `Misconfigured` for an option that the native dialect does not take."""
    core = Core(
        secret_keys=[bytes(range(32))],
        verification_uri="http://127.0.0.1/qr",
        audience=None,
        policy=STANDARD,
    )
    return Native(core, **options)


def _check_policy(value: Any) -> Policy:
    found = import_string(value) if isinstance(value, str) else value
    if not isinstance(found, Policy):
        raise Misconfigured("it must be a qrlogin.Policy, or the dotted path of one")
    return found


def _check_max_waiting(number: Any) -> None:
    if number is not None and (
        not isinstance(number, int) or isinstance(number, bool) or number < 0
    ):
        raise Misconfigured(
            "it must be a whole number from 0 on: half of the threads of a server process, "
            "or 0 if the process has one thread"
        )


def _check_bool(value: Any) -> None:
    if not isinstance(value, bool):
        raise Misconfigured("it must be True or False")


class Key(NamedTuple):
    """One key of QRLOGIN."""

    default: Any
    check_id: str
    """The id of the system check that reports it."""
    check: Callable[[Any], object]
    """Raises `Misconfigured` or ImportError for a value that is not valid."""


KEYS: Final[Mapping[str, Key]] = {
    "VERIFICATION_URI": Key("", "E003", _check_uri),
    "SECRET_KEYS": Key((), "E002", _check_secret_keys),
    "STORE": Key("memory", "E004", _check_store),
    "MAX_WAITING": Key(None, "E005", _check_max_waiting),
    "MAX_HOLD": Key(MAX_WAIT, "E005", lambda seconds: _dialect(max_hold=seconds)),
    "ORIGINS": Key((), "E005", lambda origins: _dialect(origins=origins)),
    "POLICY": Key(STANDARD, "E005", _check_policy),
    "LIFETIME": Key(STANDARD.lifetime, "E005", STANDARD.with_lifetime),
    "USER_CODES": Key(False, "E005", _check_bool),
    "PERSON": Key("qrlogin.contrib.django_auth.person", "E006", _check_person),
    "LOG_IN": Key("qrlogin.contrib.django_auth.log_in", "E006", _check_log_in),
    "LOG_OUT": Key("qrlogin.contrib.django_auth.log_out", "E006", callback),
    "TOKENS": Key("qrlogin.contrib.shared.not_given", "E006", callback),
    "PROXIES": Key(0, "E005", lambda proxies: BrowserContext(proxies=proxies)),
    "DESCRIBE": Key(None, "E006", _check_optional),
    "JUDGE": Key(None, "E006", _check_judge),
    "PAUSED": Key(None, "E006", _check_pause),
    "ON_EVENT": Key(None, "E006", _check_optional),
}


def option(name: str) -> Any:
    """The value of a key of QRLOGIN, or its default."""
    return getattr(settings, "QRLOGIN", {}).get(name, KEYS[name].default)


def policy() -> Policy:
    """POLICY, with LIFETIME and USER_CODES where they are given. Raises `Misconfigured`."""
    given, found = getattr(settings, "QRLOGIN", {}), _check_policy(option("POLICY"))
    if "LIFETIME" in given:
        found = found.with_lifetime(given["LIFETIME"])
    if "USER_CODES" in given:
        found = replace(found, user_codes=given["USER_CODES"])
    return found


def problems() -> list[tuple[str, str]]:
    """What is wrong with QRLOGIN: pairs of a check's id and a message that says what to change."""
    given = getattr(settings, "QRLOGIN", None)
    if not isinstance(given, dict):
        return [("E001", f"settings.py needs a dict QRLOGIN. Its keys are {', '.join(KEYS)}.")]
    found = []
    if unknown := ", ".join(sorted(str(name) for name in given if name not in KEYS)):
        known = ", ".join(KEYS)
        found.append(("E001", f"QRLOGIN has unknown keys: {unknown}. Its keys are {known}."))
    for name, key in KEYS.items():
        try:
            key.check(option(name))
        except (Misconfigured, ImportError) as error:
            found.append((key.check_id, f'QRLOGIN["{name}"]: {error}'))
    if not found:
        try:
            policy()
        except Misconfigured as error:  # each is valid, and they contradict each other
            found.append(("E005", f'QRLOGIN["POLICY"]: {error}'))
    return found


def unshared_memory() -> str:
    """An error message if this is one of several processes and STORE is "memory"; otherwise "".

    Servers run no system checks and do not tell an application how many processes they start. So
    this reads the server's command line, and WEB_CONCURRENCY where the server reads it.
    """
    command = " ".join(sys.argv[1:])
    if "gunicorn" in sys.argv[0]:
        command = f"{os.environ.get('GUNICORN_CMD_ARGS', '')} {command}"
    workers = re.findall(r"(?<!\S)(?:--workers[ =]|-w ?)(\d+)", command)
    if not workers and not sys.modules.keys().isdisjoint({"gunicorn", "uvicorn"}):
        workers = [os.environ.get("WEB_CONCURRENCY") or "1"]
    if not workers or workers[-1] == "1" or option("STORE") != "memory":  # the last one counts
        return ""
    return f"{workers[-1]} worker processes do not share logins in memory: {SHARE}"
