"""`python -m qrlogin demo`: puts store, site and server together, says where they are, and ends when it is told to."""

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from qrlogin.demo import selfcheck
from qrlogin.demo.server import Server
from qrlogin.demo.site import Site
from qrlogin.demo.terminal import Terminal
from qrlogin.errors import Misconfigured, QRLoginError
from qrlogin.keys import new_key
from qrlogin.login import QRLogin
from qrlogin.policy import STANDARD, Policy
from qrlogin.stores import Store, open_store
from qrlogin.wire.dialects import dialect_names

PORT: Final = 8000
TRIES: Final = 10
LAST_WORDS_S: Final = 0.5
LOOK_S: Final = 0.1
KEY_VARIABLE: Final = "QRLOGIN_DEMO_KEY"

WELCOME: Final = """\
qrlogin demo, logins in {store}. {elsewhere}Ctrl-C ends it.

  To log a browser in, open      {origin}
  To type a code, open           {origin}/qr
{dialects}  To log this terminal in, open  {origin}/demo/terminal
                                 which plays the phone for this code:
"""
LAN_WARNING: Final = """\
WARNING: --lan opens this demo to everybody in your network, over http. Whoever listens on the way can take a login.
         Its accounts are worth nothing; never do this with real ones."""


def run(options: argparse.Namespace) -> int:
    """Exit code: 0 ended as told, 1 a self-check that failed, 2 it could not start."""
    try:
        policy = _policy(options.lifetime, plain_http=options.lan)
        names = dialect_names(options.dialects, "--dialects")
        store = _store(options.store)
        with _listen(options) as server:
            host = _lan_address() if options.lan else "127.0.0.1"
            here = f"http://{host}:{server.port}"
            qr = QRLogin(
                store,
                secret_keys=[_key(options)],
                verification_uri=f"{_origin(options) or here}/qr",
                policy=policy,
            )
            site = Site(qr, names, lifetime=options.lifetime)
            qr.begin(
                lifetime=1
            )  # a store that does not answer is better known now than by the first browser
            server.start(site)
            if not options.self_check:
                _serve(here, options, site, lambda: server.stop(qr.close))
                return 0
            try:
                return 0 if selfcheck.run(here, names) else 1
            finally:
                server.stop(qr.close)
    except (OSError, ImportError, QRLoginError) as error:
        print(f"qrlogin demo: {error}", file=sys.stderr)
        return 2


def _serve(here: str, options: argparse.Namespace, site: Site, stop: Callable[[], None]) -> None:
    """Until SIGTERM or Ctrl-C."""
    told: list[int] = []  # a handler must not touch a lock: it may interrupt whoever holds it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: told.append(got))
    if options.lan:
        print(LAN_WARNING, file=sys.stderr)
    elsewhere = "" if options.lan else "For a real phone: --lan. "
    store, origin = options.store.partition(":")[0], site.origin
    print(
        WELCOME.format(origin=origin, store=store, elsewhere=elsewhere, dialects=_beginnings(site)),
        flush=True,
    )
    if origin != here:
        print(f"This process listens at       {here}", flush=True)
    ended = threading.Event()
    terminal = Terminal(here, ended, site.show_terminal)
    terminal.start()
    while not told:
        ended.wait(
            LOOK_S
        )  # and not for ever: a signal may reach another thread, and this one would sleep on
    ended.set()
    print("\nEnding.", flush=True)
    stop()
    terminal.join(LAST_WORDS_S)


def _policy(lifetime: int | None, *, plain_http: bool) -> Policy:
    policy = STANDARD if lifetime is None else STANDARD.with_lifetime(lifetime)
    return replace(policy, user_codes=True, plain_http=plain_http)


def _key(options: argparse.Namespace) -> str:
    key: str = options.key or os.environ.get(KEY_VARIABLE) or new_key()
    return key


def _origin(options: argparse.Namespace) -> str:
    """The address that people see; "" if it is this process's own."""
    origin = (options.origin or "").rstrip("/")
    if origin and options.self_check:
        raise Misconfigured("--self-check plays at an address of its own: leave --origin out")
    if origin.count("/") > 2:
        raise Misconfigured("--origin is an address without a path, such as http://127.0.0.1:8000")
    return origin


def _beginnings(site: Site) -> str:
    """Where the clients of each dialect begin: its first route."""
    lines = [
        f"    {name:<12} {site.origin}/{dialect.browser_routes[0].path}\n"
        for name, dialect in site.dialects.items()
    ]
    return "".join(["  Clients of other dialects begin at\n", *lines]) if lines else ""


def _store(name: str) -> Store:
    try:
        return open_store(name)
    except Misconfigured as error:
        raise Misconfigured(f"--store: {error}") from None


def _listen(options: argparse.Namespace) -> Server:
    """A server on the wanted port; on the next free one if no port was wanted."""
    host = "0.0.0.0" if options.lan else "127.0.0.1"  # noqa: S104 - that is what --lan means
    if options.self_check:
        return Server(host, 0, log=options.log)
    for port in [options.port] if options.port is not None else range(PORT, PORT + TRIES):
        try:
            server = Server(host, port, log=options.log)
        except OSError as error:
            refusal = error
            continue
        if options.port is None and port != PORT:
            print(f"Port {PORT} is taken, so this is port {port}.", file=sys.stderr)
        return server
    raise OSError(
        f"port {port} is taken ({refusal.strerror}): choose another with --port, or --port 0 for any free one"
    )


def _lan_address() -> str:
    """This machine's address as its network sees it. Nothing is sent: a datagram socket only looks up the route."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("10.255.255.255", 9))
            return str(probe.getsockname()[0])
    except OSError as error:
        raise OSError(f"--lan: this machine is in no network ({error.strerror})") from None
