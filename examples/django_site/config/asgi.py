"""The application for uvicorn and other ASGI servers."""

import os

from qrlogin_django.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_asgi_application()
