"""The pages, the operator's page, the native dialect at qrlogin/, and any others at the root."""

from accounts.admin import site
from django.conf import settings
from django.urls import include, path

urlpatterns = [
    path("qrlogin/", include("qrlogin_django.urls")),
    path("staff/", site.urls),
    path("", include("accounts.urls")),
]
handler404, handler500 = "accounts.views.not_found", "accounts.views.broken"
if settings.DIALECTS:
    urlpatterns.append(path("", include("config.dialects")))
