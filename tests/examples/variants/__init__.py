"""The six applications of the story, as other people's applications are. Each runs as a process.

Each reads the body of every request before qrlogin does, knows a phone app by a token, and sets a
JWT cookie in `log_in`. A token also makes its account, because hashing a password takes long; the
sign-up forms are tested in test_text.py. A variant imports its application and changes nothing
else in it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

JWT = "eyJhbGciOiJIUzI1NiJ9.e30.of-no-one"
_PHONE = "Bearer app-of-"


def authorization(name: str) -> str:
    """The header with which the phone app of this account sends its requests."""
    return _PHONE + urlsafe_b64encode(name.encode()).decode()


def name_in(header: str) -> str:
    """The account whose phone app sends this `Authorization`; "" for any other header."""
    token = header.removeprefix(_PHONE)
    return "" if token == header else urlsafe_b64decode(token).decode()
