"""MemoryStore passes the suite, and limits how many records it holds."""

from collections.abc import Callable

import pytest

from qrlogin import MemoryStore, Misconfigured, QRLogin, Unavailable
from qrlogin.stores.suite import StoreSuite
from tests.application import ALICE, KEY, SHOWN, URI, Clock


class TestMemoryStore(StoreSuite):
    def make_store(self, now: Callable[[], int]) -> MemoryStore:
        return MemoryStore(now=now)


def test_a_full_store_refuses_to_begin_and_serves_the_logins_it_has() -> None:
    clock = Clock()
    store = MemoryStore(capacity=2, now=clock)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
        first, _ = qr.begin(), qr.begin()
        with pytest.raises(Unavailable, match="full: it holds 2 records"):
            qr.begin()
        qr.scan(first.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        clock.ms += 3_600_000  # both records are past their time to live
        assert qr.begin().state == "pending"


def test_a_capacity_below_one_record_is_refused() -> None:
    with pytest.raises(Misconfigured, match="capacity must be at least 1"):
        MemoryStore(capacity=0)
