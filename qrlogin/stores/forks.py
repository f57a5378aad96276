"""Lets a store of a database begin afresh in a forked child, as with `gunicorn --preload`."""

import os
from collections.abc import Callable
from weakref import WeakMethod


def in_each_child(reset: Callable[[], None]) -> None:
    """Call a method in every process that is forked from this one, before any other code there.

    :param reset: a bound method. It is called while its object lives.
    """
    method = WeakMethod(reset)

    def after_fork() -> None:
        if alive := method():
            alive()

    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(after_in_child=after_fork)
