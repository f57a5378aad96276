"""The native dialect's URLs: `path("qrlogin/", include("qrlogin_django.urls"))`."""

from .registry import patterns

app_name = "qrlogin"
urlpatterns = patterns()
