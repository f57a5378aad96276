"""`python -m qrlogin demo`: starts store, site and server, and stops them on a signal."""

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
PORTS_TO_TRY: Final = 10
TERMINAL_STOP_S: Final = 0.5  # for the terminal's thread to end
SIGNAL_POLL_S: Final = 0.1
KEY_VARIABLE: Final = "QRLOGIN_DEMO_KEY"

WELCOME: Final = """\
qrlogin demo. Logins are stored in {store}. Press Ctrl-C to stop.{lan_hint}

  Log a browser in      {origin}
  Type a code           {origin}/qr
{dialects}  Log this terminal in  {origin}/demo/terminal
                        (plays the phone for the code below)
"""
LAN_HINT: Final = "\nTo use a real phone, start it with --lan."
LAN_WARNING: Final = """\
WARNING: --lan serves this demo to everyone on your network, without encryption. Anyone who can
         read the traffic can take over a login. Never use it with real accounts."""


def run(options: argparse.Namespace) -> int:
    """Runs the demo. Returns its exit code: 0 stopped, 1 a check failed, 2 it did not start."""
    try:
        policy = _policy(options.lifetime, options.match_digits, plain_http=options.lan)
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
            )  # fails now, not at the first browser, if the store does not answer
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
    """Serves until SIGTERM or Ctrl-C.

    :param here: the address of this process
    :param options: the command line
    :param site: the application, which is running
    :param stop: stops the server
    """
    # A list and no Event: a handler must not take a lock, which the interrupted code may hold.
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: signals.append(got))
    if options.lan:
        print(LAN_WARNING, file=sys.stderr)
    print(
        WELCOME.format(
            origin=site.origin,
            store="Redis" if options.store.startswith("redis") else "memory",
            lan_hint="" if options.lan else LAN_HINT,
            dialects=_dialects(site),
        ),
        flush=True,
    )
    if site.origin != here:
        print(f"This process listens at {here}", flush=True)
    ended = threading.Event()
    terminal = Terminal(here, site.origin, ended, site.show_terminal)
    terminal.start()
    while not signals:  # in short waits: a signal may reach another thread, and not end this wait
        ended.wait(SIGNAL_POLL_S)
    ended.set()
    print("\nStopping.", flush=True)
    stop()
    terminal.join(TERMINAL_STOP_S)


def _policy(lifetime: int | None, match_digits: int, *, plain_http: bool) -> Policy:
    policy = STANDARD if lifetime is None else STANDARD.with_lifetime(lifetime)
    return replace(policy, user_codes=True, match_digits=match_digits, plain_http=plain_http)


def _key(options: argparse.Namespace) -> str:
    key: str = options.key or os.environ.get(KEY_VARIABLE) or new_key()
    return key


def _origin(options: argparse.Namespace) -> str:
    """The address that users see; "" if it is this process's own. Raises Misconfigured."""
    origin = (options.origin or "").rstrip("/")
    if origin and options.self_check:
        raise Misconfigured("--self-check uses an address of its own: leave --origin out")
    if origin.count("/") > 2:
        raise Misconfigured("--origin is an address without a path, such as http://127.0.0.1:8000")
    return origin


def _dialects(site: Site) -> str:
    """The lines that say where the clients of each dialect start: its first route."""
    lines = [
        f"    {name:<11}  {site.origin}/{dialect.browser_routes[0].path}\n"
        for name, dialect in site.dialects.items()
    ]
    return "".join(["  Clients of other dialects start at\n", *lines]) if lines else ""


def _store(address: str) -> Store:
    try:
        return open_store(address)
    except Misconfigured as error:
        raise Misconfigured(f"--store: {error}") from None


def _listen(options: argparse.Namespace) -> Server:
    """A server on the requested port, or on the first free one of ten. Raises OSError."""
    host = "0.0.0.0" if options.lan else "127.0.0.1"  # noqa: S104 - --lan asks for it
    if options.self_check:
        return Server(host, 0, log=options.log)
    ports = range(PORT, PORT + PORTS_TO_TRY) if options.port is None else [options.port]
    for port in ports:
        try:
            server = Server(host, port, log=options.log)
        except OSError as error:
            reason = error.strerror
            continue
        if options.port is None and port != PORT:
            print(f"Port {PORT} is in use. Using port {port} instead.", file=sys.stderr)
        return server
    raise OSError(
        f"cannot use port {port} ({reason}): "
        "choose another with --port, or any free one with --port 0"
    )


def _lan_address() -> str:
    """The address of this machine on its network. Raises OSError if it is on no network."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("10.255.255.255", 9))  # sends nothing: UDP only looks up the route
            return str(probe.getsockname()[0])
    except OSError as error:
        raise OSError(f"--lan: this machine is on no network ({error.strerror})") from None
