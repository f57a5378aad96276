"""A reader of the Redis server, with MONITOR too, sees no secret and only short-lived keys."""

import base64
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from qrlogin.keys import new_key
from qrlogin.login import QRLogin
from qrlogin.stores import RedisStore
from qrlogin.stores.redis_calls import RedisCalls
from qrlogin.stores.suite.colours import PATIENCE
from tests.security_rows import row
from tests.servers import RedisServer
from tests.stores.redis_records import as_text_of, record_at

CONTEXT = {"browser": "Firefox on Linux", "place": "Lisbon, Portugal", "address": "192.0.2.7"}


class Run:
    """Logins with each ending over a monitored server, and all their secrets."""

    def __init__(self, url: str, prefix: str = "") -> None:
        self.prefix = prefix or f"{uuid.uuid4().hex}:"
        self.key = new_key()
        self.secrets = {self.key, base64.urlsafe_b64decode(self.key + "=").hex()}
        self.login_ids: list[str] = []
        store = RedisStore.from_url(url, prefix=self.prefix, reread=600, timeout=PATIENCE)
        with store.listen("unknown") as listener:
            listener.wait(PATIENCE)  # notified when the store has subscribed
        with QRLogin(
            store, secret_keys=[self.key], verification_uri="https://login.example/qr"
        ) as qr:
            for ending in ("redeem", "deny", "cancel", "nothing"):
                begun = qr.begin(context=CONTEXT)
                op = new_key()
                self.login_ids.append(begun.login_id)
                _, secret, *_, device_signature = begun.device_code.split(".")
                self.secrets |= {begun.device_code, secret, device_signature, op}
                self.secrets |= {begun.scan_code, begun.scan_code.rpartition(".")[2]}
                qr.scan(begun.scan_code, subject="alice-4711", shown_as="M•••a")
                qr.release(begun.scan_code, subject="alice-4711")
                rotated = qr.status(begun.device_code).scan_code
                self.secrets |= {rotated, rotated.rpartition(".")[2]}
                qr.scan(rotated, subject="alice-4711", shown_as="M•••a")
                seen = qr.wait(begun.device_code, after=None)
                assert seen.scanned_by is not None
                if ending == "deny":
                    qr.deny(rotated, subject="alice-4711")
                elif ending == "cancel":
                    qr.cancel(begun.device_code)
                elif ending == "redeem":
                    qr.confirm(rotated, subject="alice-4711", name="alice@4711.example")
                    seen = qr.status(begun.device_code)
                    assert seen.scanned_by is not None
                    assert (
                        qr.redeem(
                            begun.device_code, acknowledged=seen.scanned_by.tag, op=op
                        ).subject
                        == "alice-4711"
                    )


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:  # redis-py's types leave bytes or text open
    with redis.Redis.from_url(redis_url) as client:
        yield client


@row(22, 435)
def test_the_server_never_sees_a_secret(redis_url: str, client: Any) -> None:
    """A reader of the server cannot log in: the login_id and the rest of the view open nothing."""
    with _monitored(redis_url) as seen:
        run = Run(redis_url)
        keys = client.keys(f"{run.prefix}*")
        kept = b"\n".join(key + as_text_of(record_at(client, key)) for key in keys)
    view = bytes(seen) + kept
    assert all(login_id.encode() in view for login_id in run.login_ids), (
        "the view does not show the logins at all"
    )
    assert b"alice-4711" in view
    assert view.count(b"EVALSHA") >= 4 * len(run.login_ids)
    assert b"SUBSCRIBE" in view
    leaked = [secret for secret in run.secrets if secret.encode() in view]
    assert leaked == []


@row(27, 459)
def test_every_key_is_one_small_record_that_expires(redis_url: str, client: Any) -> None:
    """A login has one key, which takes less than 700 bytes until it is scanned, and every key has a
    time to live.
    """
    run = Run(redis_url)
    keys = client.keys(f"{run.prefix}*")
    assert len(keys) == len(run.login_ids) + 2  # the allowances of the address and the account
    for key in keys:
        began = record_at(client, key)["state"] == "pending"
        assert client.memory_usage(key, samples=0) < (700 if began else 1200)
        assert 0 < client.pttl(key) <= 600_000


def test_a_key_is_in_the_bucket_of_its_channel(redis_url: str, client: Any) -> None:
    """Key `prefix{bNN}:login_id`, channel `prefix{bNN}`, message `login_id version`: an upgrade
    must keep them.
    """
    with client.pubsub() as subscriber:
        subscriber.psubscribe("*")
        assert subscriber.get_message(timeout=PATIENCE) is not None
        run = Run(redis_url)
        client.publish(run.prefix, "the end")
        messages = []
        while (message := subscriber.get_message(timeout=PATIENCE)) and message[
            "data"
        ] != b"the end":
            messages.append(message)
        assert message, "the announcements stopped"
    for key in client.keys(f"{run.prefix}*"):
        channel, _, login_id = key.rpartition(b":")
        assert channel in [f"{run.prefix}{{b{bucket:02}}}".encode() for bucket in range(64)]
        versions = [
            message["data"]
            for message in messages
            if message["channel"] == channel and login_id in message["data"]
        ]
        # Version 1 is not published: a login that begins has no listener.
        assert versions == [login_id + b" %d" % version for version in range(2, len(versions) + 2)]
        # An allowance is read by the call that takes from it, so it notifies no listener.
        assert len(versions) >= 3 if login_id.decode() in run.login_ids else not versions


def test_buckets_never_change() -> None:
    """Processes of different versions share the keys."""
    channels = [
        RedisCalls("p:", None).channel(login_id)
        for login_id in ("A" * 22, "B" * 22, "zZ09_-abcdefghijklmnop")
    ]
    assert channels == ["p:{b00}", "p:{b01}", "p:{b32}"]


def test_the_store_needs_only_the_documented_rights(own_redis: RedisServer) -> None:
    """An ACL can allow these commands on the keys and channels with the prefix, and no more."""
    commands = (
        "evalsha",
        "eval",
        "get",
        "set",
        "hgetall",
        "hset",
        "pexpire",
        "time",
        "publish",
        "subscribe",
        "ping",
    )
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        rules = [
            "on",
            ">pass",
            "~run:*",
            "resetchannels",
            "&run:*",
            "-@all",
            *(f"+{command}" for command in commands),
        ]
        client.execute_command("ACL", "SETUSER", "logins", *rules)
        Run(own_redis.url.replace("//", "//logins:pass@"), prefix="run:")
        refused: Any = client.acl_log()
    # redis-py sends its name with the first, and the first look at the server is the second. Both
    # are done without.
    assert {entry["object"] for entry in refused} <= {"client|setinfo", "info"}


@contextmanager
def _monitored(url: str) -> Iterator[bytearray]:
    """What MONITOR shows in this block."""
    seen = bytearray()
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as wire:
        wire.sendall(b"MONITOR\r\n")
        seen += wire.recv(5)

        def read() -> None:
            while data := wire.recv(65536):
                seen.extend(data)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield seen
            with redis.Redis.from_url(url) as client:
                client.echo(last := uuid.uuid4().hex)
            while last.encode() not in seen:
                reader.join(0.01)
        finally:
            wire.shutdown(socket.SHUT_RDWR)
            reader.join()
