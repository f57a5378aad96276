"""Create the table of the sessions that logins by phone started."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]  # noqa: RUF012
    operations = [  # noqa: RUF012 - Django reads it
        migrations.CreateModel(
            name="PhoneLogin",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("session_key", models.CharField(max_length=40)),
                ("login_id", models.CharField(max_length=40, unique=True)),
                ("begun_at", models.DateTimeField(auto_now_add=True)),
                ("browser", models.CharField(max_length=80)),
                ("address", models.CharField(max_length=90)),
                ("phone", models.CharField(max_length=80)),
                ("user", models.ForeignKey(on_delete=models.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
        )
    ]
