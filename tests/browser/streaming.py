"""The streams of the scripted server: server-sent events, and a WebSocket.

Their messages are status answers.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

TEXT, CLOSE = 0x81, 0x88  # first bytes of a frame (RFC 6455 section 5.2)


def open_events(handler: BaseHTTPRequestHandler) -> Callable[[str, str, str], None]:
    """Sends the headers. Returns a function that sends one event."""
    handler.send_response(200)
    for name, value in (("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")):
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(b":" + b" " * 128 + b"\nretry: 1000\n\n")

    def say(event: str, text: str, version: str) -> None:
        named = f"event: {event}\n" if event else ""
        handler.wfile.write(f"id: {version}\n{named}data: {text}\n\n".encode())

    return say


def open_socket(handler: BaseHTTPRequestHandler) -> Callable[[str, str, str], None]:
    """Answers the handshake (RFC 6455 section 4.2.2). Returns a function that sends one message."""
    made = hashlib.sha1(
        handler.headers["Sec-WebSocket-Key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    )
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(101)
    accept = base64.b64encode(made.digest()).decode()
    for name, value in (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept),
    ):
        handler.send_header(name, value)
    handler.end_headers()

    def say(_event: str, text: str, _version: str) -> None:
        size = len(text.encode())
        handler.wfile.write(
            bytes([TEXT, size] if size < 126 else [TEXT, 126, *size.to_bytes(2, "big")])
            + text.encode()
        )

    return say


def stream(
    handler: BaseHTTPRequestHandler,
    kind: str,
    after: str,
    *,
    look: Callable[[], bytes],
    rest: Callable[[float], bool],
    mute: bool,
) -> None:
    """Sends each change until the login is over.

    :param kind: "events" or "socket"
    :param after: the last version that the page has seen
    :param look: returns the status answer
    :param rest: waits some seconds; returns False when the server or the stream ends
    :param mute: sends no message
    """
    say = {"events": open_events, "socket": open_socket}[kind](handler)
    last, picture = after, read(look()).get("verification_uri_complete")
    while True:
        text = look().decode()
        seen = read(text)
        version, shown = str(seen.get("version", last)), seen.get("verification_uri_complete")
        if not mute and ("error" in seen or version != last or shown != picture):
            say("" if version != last else "code", text, version)
            last, picture = version, shown
        if (
            "error" in seen
            or seen["state"] in ("denied", "cancelled", "expired", "redeemed")
            or not rest(0.05)
        ):
            break
    if kind == "socket":
        handler.wfile.write(bytes([CLOSE, 2]) + struct.pack(">H", 1000))


def read(text: bytes | str) -> dict[str, Any]:
    """A status answer as a mapping."""
    found: dict[str, Any] = json.loads(text)
    return found
