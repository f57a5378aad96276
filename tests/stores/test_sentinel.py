"""Behind Sentinel, a login goes on when the master dies and a replica takes over."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from qrlogin import QRLogin, Unavailable
from qrlogin.stores import RedisStore
from qrlogin.stores.suite.colours import PATIENCE
from tests.stores.clusters import READY_SECONDS, lose_patience, sentinels

T = TypeVar("T")


def until_it_answers(call: Callable[[], T]) -> T:
    """Repeat the call, which is safe after `Unavailable`."""
    give_up = time.monotonic() + READY_SECONDS
    while True:
        try:
            return call()
        except Unavailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


@pytest.mark.matrix
def test_a_login_survives_the_death_of_the_master() -> None:
    with sentinels() as (addresses, master):
        options = {"socket_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0)}
        client = Sentinel(addresses, sentinel_kwargs=options, **options).master_for("logins")  # type: ignore[no-untyped-call]
        with (
            client,
            QRLogin(
                RedisStore(client),
                secret_keys=[bytes(range(32))],
                verification_uri="https://login.example/qr",
            ) as qr,
        ):
            begun = qr.begin()
            qr.scan(begun.scan_code, subject="42", shown_as="M•••a")
            with redis.Redis(port=master.port, socket_timeout=2 * PATIENCE) as direct:
                assert direct.wait(1, int(PATIENCE * 1000)) == 1, (
                    "the replica has not confirmed the write"
                )
            master.process.kill()
            lose_patience(addresses)

            until_it_answers(lambda: qr.confirm(begun.scan_code, subject="42"))
            seen = until_it_answers(
                lambda: qr.wait(begun.device_code, after=begun.version, timeout=10)
            )
            assert seen.scanned_by is not None
            tag = seen.scanned_by.tag
            assert (
                until_it_answers(
                    lambda: qr.redeem(begun.device_code, acknowledged=tag, op="one-click-only-one")
                ).subject
                == "42"
            )
