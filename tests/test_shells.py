"""The shells and the stores have equal asyncio twins, and the public names are fixed."""

import inspect
from types import ModuleType
from typing import Any

import pytest

import qrlogin
from qrlogin import (
    AsyncMemoryStore,
    AsyncQRLogin,
    MemoryStore,
    Misconfigured,
    QRLogin,
    RecordLost,
    State,
    stores,
)
from tests.application import KEY, TO_END, URI, App, Run


def public(thing: type) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(thing, name) for name in dir(thing) if not name.startswith("_")
    }


def unwrapped(function: Any) -> Any:
    return function.__func__ if isinstance(function, classmethod | staticmethod) else function


TWINS = [
    (QRLogin, AsyncQRLogin),
    (MemoryStore, AsyncMemoryStore),
    (stores.RedisStore, stores.AsyncRedisStore),
    (stores.Store, stores.AsyncStore),
    (stores.Listener, stores.AsyncListener),
    (stores.Listeners, stores.AsyncListeners),
]


@pytest.mark.parametrize(("sync", "awaited"), TWINS, ids=lambda twin: twin.__name__)
def test_twins_have_the_same_names_signatures_and_first_lines(sync: type, awaited: type) -> None:
    """Each twin must change when the other one changes."""
    ours, theirs = public(sync), public(awaited)
    assert list(ours) == list(theirs)
    for name in [*ours, "__init__"]:
        one, other = (
            unwrapped(inspect.getattr_static(sync, name)),
            unwrapped(inspect.getattr_static(awaited, name)),
        )
        if not inspect.isfunction(one):
            assert type(one) is type(other), name
            continue
        assert signature_text(one) == signature_text(other).replace("Async", ""), name
        assert not inspect.iscoroutinefunction(one), name
        if sync is QRLogin and name != "__init__":
            ours_says, theirs_says = (inspect.getdoc(each) or "" for each in (one, other))
            assert theirs_says.startswith(ours_says), name  # close() has one more sentence


def signature_text(function: Any) -> str:
    """The signature as text, in which types that differ only by colour are made equal."""
    signature = inspect.signature(function)
    parameters = [
        f"{one.name}:{one.kind.name}={one.default!r}:{_plain(one.annotation)}"
        for one in signature.parameters.values()
    ]
    return f"({', '.join(parameters)}) -> {_plain(signature.return_annotation)}"


def _plain(annotation: object) -> str:
    return (
        inspect.formatannotation(annotation)
        .replace("collections.abc.Awaitable[None]", "None")
        .replace("redis.asyncio.", "redis.")
        .replace("asyncio.client.", "client.")
        .replace("asyncio.cluster.", "cluster.")
    )


def test_the_asyncio_shell_awaits_exactly_the_calls_that_use_the_store() -> None:
    awaited = {
        name for name, each in public(AsyncQRLogin).items() if inspect.iscoroutinefunction(each)
    }
    assert awaited == {name for name, each in public(QRLogin).items() if inspect.isfunction(each)}
    assert awaited == {
        "begin",
        "status",
        "wait",
        "land",
        "look",
        "scan",
        "outcome",
        "release",
        "confirm",
        "deny",
        "cancel",
        "redeem",
        "run",
        "ready",
        "drain",
        "close",
    }


def test_every_public_call_has_a_docstring() -> None:
    for shell in (QRLogin, AsyncQRLogin):
        for name, each in public(shell).items():
            assert inspect.getdoc(each), f"{shell.__name__}.{name}"


PUBLIC = """
    LAB STANDARD STRICT
    AlreadyRedeemed AlreadyScanned AsyncMemoryStore AsyncQRLogin BadArgument BadRequest Begun
    Cancelled Denied Event Expired
    InvalidCode Landing Limits LoginError MatchCodeNeeded MemoryStore Misconfigured NotYours Policy
    QRLogin QRLoginError RecordForged RecordLost Redeemed
    Scanned ScannedBy ScannerChanged State Status Superseded TooFast TooManyBegins
    TooManyGuesses TooManyScans Unavailable UnknownLogin WrongMatchCode WrongState
"""


def test_the_public_names_are_frozen() -> None:
    """A removed name breaks an application; an accidental name must be kept."""
    assert qrlogin.__all__ == PUBLIC.split()
    assert qrlogin.__all__ == sorted(qrlogin.__all__, key=lambda name: (not name.isupper(), name))
    assert {
        name
        for name, value in vars(qrlogin).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    } == set(qrlogin.__all__)
    assert all(
        getattr(qrlogin, name).__module__.startswith("qrlogin") for name in PUBLIC.split()[3:]
    )


def test_a_store_of_the_other_colour_is_refused_with_the_shell_to_use() -> None:
    with pytest.raises(Misconfigured, match="use AsyncQRLogin"):
        QRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)  # type: ignore[arg-type]
    with pytest.raises(Misconfigured, match="use QRLogin"):
        AsyncQRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)  # type: ignore[arg-type]
    for nothing in (None, AsyncMemoryStore, "redis://127.0.0.1"):
        with pytest.raises(Misconfigured, match="AsyncMemoryStore"):
            AsyncQRLogin(nothing, secret_keys=[KEY], verification_uri=URI)  # type: ignore[arg-type]


def test_a_record_that_is_lost_is_logged_with_its_login_id(
    run: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = App(), App()  # two processes, each with its own memory
    begun = one.begin()
    with pytest.raises(RecordLost):
        run(other, other.qr.core.status(other.qr.core.read_device_code(begun.device_code)))
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "qrlogin")
    assert f"login {begun.login_id}: the store has lost its record" in record.getMessage()
    assert begun.device_code.split(".")[1] not in caplog.text
    for operation in (
        other.qr.core.scan(begun.scan_code, subject="42", shown_as="A"),
        other.qr.core.confirm(begun.scan_code, subject="42"),
    ):
        with pytest.raises(RecordLost):  # as the phone finds it
            run(other, operation)
    assert len(caplog.records) == 3
    caplog.clear()
    other.clock.ms += TO_END * 1000
    assert (
        run(other, other.qr.core.status(other.qr.core.read_device_code(begun.device_code))).state
        is State.EXPIRED
    )
    assert not caplog.records
