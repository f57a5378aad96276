"""The error for a name that a package does not have, with a text that helps."""

import sys


def absent_name(text: str) -> Exception:
    """The error that a package's `__getattr__` must raise, so that its text is shown.

    Python drops the text of an AttributeError inside `from package import name`, and lets an
    ImportError out of `hasattr(package, name)`. So it is the former, except inside an import.
    """
    reader = sys._getframe(2).f_code.co_name  # of who reads the attribute
    return (ImportError if reader == "_handle_fromlist" else AttributeError)(text)
