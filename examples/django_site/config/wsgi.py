"""The application for gunicorn and other WSGI servers, and for `manage.py runserver`."""

import os

from qrlogin_django.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
