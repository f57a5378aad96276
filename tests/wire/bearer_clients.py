"""The headers with which clients that are no page of this site send their requests.

They were recorded from phone apps and extensions that a check of the origin had turned away.
"""

from collections.abc import Mapping
from typing import Final

BEARER_CLIENTS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "native HTTP client": (),
    "Capacitor on iOS": (("origin", "capacitor://localhost"),),
    "Capacitor on Android": (
        ("origin", "https://localhost"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "cors"),
    ),
    "page from a file": (("origin", "null"), ("sec-fetch-site", "cross-site")),
    "Tauri": (("origin", "tauri://localhost"),),
    "Electron": (("origin", "app://."), ("sec-fetch-site", "cross-site")),
    "browser extension": (
        ("origin", "chrome-extension://abcdefghijklmnop"),
        ("sec-fetch-site", "none"),
    ),
}
