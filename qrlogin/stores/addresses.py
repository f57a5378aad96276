"""How the address of a store begins, for each kind of store that has one."""

from typing import Final

REDIS_SCHEMES: Final = ("redis://", "rediss://", "unix://")
SQLITE: Final = "sqlite:///"
SQL_SCHEMES: Final = (SQLITE, "postgresql://", "postgres://")


def sqlite_hint(address: object) -> str:
    """What to add to the error for an address that was refused: how many slashes SQLite needs, if
    it begins with `sqlite:`; else "".
    """
    if isinstance(address, str) and address.startswith("sqlite:"):
        return ". sqlite needs three slashes, and four before an absolute path"
    return ""
