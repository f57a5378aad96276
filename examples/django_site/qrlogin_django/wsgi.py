"""`get_wsgi_application` for your wsgi.py, in place of Django's function of the same name."""

from qrlogin.contrib.django_project import get_wsgi_application

__all__ = ["get_wsgi_application"]
