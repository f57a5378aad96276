"""path("qrlogin/", include("qrlogin_django.urls"))"""

from .live import patterns

app_name = "qrlogin"
urlpatterns = patterns()
