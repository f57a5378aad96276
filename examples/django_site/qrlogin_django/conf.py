"""The QRLOGIN setting: its keys, their defaults, and what is wrong with their values."""

from qrlogin.contrib.django_conf import KEYS, option, problems

__all__ = ["KEYS", "option", "problems"]
