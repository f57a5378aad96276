"""Reads a User-Agent without a library: the names of its browser and its system.

It knows the browsers and systems that most people have. The extra `context` knows some hundred.
Every name is written here: none is copied from a User-Agent, in which anyone can write a sentence.
"""

from typing import Final

#: Browsers by a product in their User-Agents. A browser names those that it descends from, too
#: (Edge also names Chrome and Safari), so the first that fits counts.
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("QQBrowser/", "QQ Browser"),
    ("MicroMessenger/", "WeChat"),
    ("UCBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Trident/", "IE"),
    ("MSIE ", "IE"),
    ("Safari/", "Safari"),
    # Programs, for people who log in at a command line.
    ("curl/", "curl"),
    ("Wget/", "Wget"),
)
#: Systems by a word in their User-Agents. Here, too, the first that fits counts: an iPhone is "like
#: Mac OS X", and Android is a Linux.
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Ubuntu", "Ubuntu"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Tizen", "Tizen"),
    ("Linux", "Linux"),
)


def read_user_agent(agent: str) -> tuple[str, str]:
    """The names of the browser and of its system; "" for what is not known."""
    browser = next((name for product, name in _BROWSERS if product in agent), "")
    system = next((name for word, name in _SYSTEMS if word in agent), "")
    return browser, system
