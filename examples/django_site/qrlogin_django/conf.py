"""The QRLOGIN setting: what may stand in it, and what is wrong with it. It opens nothing and starts nothing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from qrlogin import STANDARD, Misconfigured, Policy
from qrlogin.core import Core

#: Each key, and what it is when nothing is said. The four callables may be dotted paths, as elsewhere in settings.
DEFAULTS: Final[Mapping[str, Any]] = {
    "VERIFICATION_URI": "",
    "SECRET_KEYS": (),
    "STORE": "memory",
    "MAX_WAITING": None,
    "LIFETIME": STANDARD.lifetime,
    "USER_CODES": False,
    "PERSON": "qrlogin_django.people.person",
    "LOG_IN": "qrlogin_django.people.log_in",
    "LOG_OUT": "qrlogin_django.people.log_out",
    "TOKENS": "qrlogin_django.adapter.missing",
}
SCHEMES: Final = ("redis", "rediss", "unix")


def option(name: str) -> Any:
    return getattr(settings, "QRLOGIN", {}).get(name, DEFAULTS[name])


def callback(name: str) -> Any:
    """A function, or what a dotted path leads to. Raises ImportError."""
    value = option(name)
    return import_string(value) if isinstance(value, str) else value


def max_waiting(*, awaited: bool) -> int:
    """How many waits a process holds: half of gunicorn's `--threads 16`, or as many as an event loop does without noticing."""
    given: int | None = option("MAX_WAITING")
    return given if given is not None else 1000 if awaited else 8


def policy() -> Policy:
    """Raises `Misconfigured` for a lifetime that no login may have."""
    seconds = option("LIFETIME")
    if not isinstance(seconds, int):
        raise Misconfigured(f"LIFETIME must be a whole number of seconds, not {seconds!r}")
    rotation, grace = min(STANDARD.rotation, seconds), min(STANDARD.rotation_grace, seconds)
    return replace(STANDARD, lifetime=seconds, rotation=rotation, rotation_grace=grace, user_codes=bool(option("USER_CODES")))


def problems() -> list[tuple[str, str]]:
    """What is wrong with it, by number, and what to do about it. The pages of the site are not looked at here."""
    given = getattr(settings, "QRLOGIN", None)
    if not isinstance(given, dict):
        return [("E001", f"settings.py needs a dict QRLOGIN. Its keys are {', '.join(DEFAULTS)}.")]
    found = []
    if unknown := sorted(str(name) for name in given if name not in DEFAULTS):
        found.append(("E001", f"QRLOGIN has unknown keys: {', '.join(unknown)}. Known are {', '.join(DEFAULTS)}."))
    for number, refused in {"E002": _keys, "E003": _address, "E004": _store, "E005": _numbers, "E006": _callbacks}.items():
        try:
            refused()
        except (Misconfigured, ImportError) as error:
            found.append((number, f"QRLOGIN: {error}"))
    return found


def _keys() -> None:
    Core(secret_keys=option("SECRET_KEYS"), verification_uri="http://127.0.0.1/qr", audience=None, policy=STANDARD)


def _address() -> None:
    Core(secret_keys=[bytes(range(32))], verification_uri=option("VERIFICATION_URI"), audience=None, policy=STANDARD)


def _store() -> None:
    store = option("STORE")
    if store != "memory" and not (isinstance(store, str) and store.partition("://")[0] in SCHEMES):
        raise Misconfigured(f'STORE must be "memory" or an address such as redis://127.0.0.1:6379/0 ({", ".join(SCHEMES)})')


def _numbers() -> None:
    waiting = max_waiting(awaited=False)
    if isinstance(waiting, bool) or not isinstance(waiting, int) or waiting < 1:
        raise Misconfigured("MAX_WAITING must be a whole number from 1 on: half of the threads of a server process")
    policy()


def _callbacks() -> None:
    for name in ("PERSON", "LOG_IN", "LOG_OUT", "TOKENS"):
        if not callable(callback(name)):
            raise Misconfigured(f"{name} must be a function, or the dotted path of one")
