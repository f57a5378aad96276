"""qrlogin with django.contrib.auth. To do it differently, write these functions yourself here."""

from qrlogin.contrib.django_auth import account, log_in, log_out, person

__all__ = ["account", "log_in", "log_out", "person"]
