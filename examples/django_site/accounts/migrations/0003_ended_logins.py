"""Keep which logins were ended, so that the same redeem starts no other session."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_staff")]  # noqa: RUF012 - Django reads it
    operations = [  # noqa: RUF012
        migrations.AddField("phonelogin", "is_ended", models.BooleanField(default=False)),
    ]
