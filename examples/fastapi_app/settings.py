"""Reads the environment, once, when the application starts.

Secrets that the environment does not set are created once and kept in instance/, so that accounts
and sessions outlive a restart.
"""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from qrlogin import STANDARD, Misconfigured
from qrlogin.contrib.environment import SiteSettings, has_other_workers, naming, read_settings

__all__ = ["naming", "read"]

INSTANCE = Path(__file__).with_name("instance")
ORIGIN = "http://127.0.0.1:8000"  # the address of `uvicorn app:app`
MAX_WAITING = 2000  # browsers that wait in one process; each takes some kilobytes and no thread
NOT_SHARED = (
    "several workers need a store that they share: "
    "set QRLOGIN_STORE, for example to redis://127.0.0.1:6379/0"
)


def read(environ: Mapping[str, str] = os.environ, instance: Path = INSTANCE) -> SiteSettings:
    """The settings of this site. Raises `Misconfigured`, which says what to set."""
    site = read_settings(environ, instance, origin=ORIGIN, max_waiting=MAX_WAITING, policy=STANDARD)
    several = has_other_workers(sys.argv, environ) if site.store == "memory" else False
    if several:
        raise Misconfigured(NOT_SHARED)
    if several is None:
        logging.getLogger("uvicorn.error").warning("If this is not the only worker: %s", NOT_SHARED)
    return site
