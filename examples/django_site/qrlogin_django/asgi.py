"""`get_asgi_application` for your asgi.py, in place of Django's function of the same name."""

from qrlogin.contrib.django_project import get_asgi_application

__all__ = ["get_asgi_application"]
