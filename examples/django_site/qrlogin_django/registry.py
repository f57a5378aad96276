"""The one QRLogin of this process, and the URL patterns of each dialect."""

from qrlogin.contrib.django_project import endpoint, landing, patterns, qrlogin

__all__ = ["endpoint", "landing", "patterns", "qrlogin"]
