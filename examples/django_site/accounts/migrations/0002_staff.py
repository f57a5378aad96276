"""Create the tables of the operator's page, and keep when a browser was last seen."""

from typing import Any

from django.db import migrations, models


def id_field() -> "models.BigAutoField[Any, Any]":
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_phone_logins")]  # noqa: RUF012 - Django reads it
    operations = [  # noqa: RUF012
        migrations.AddField("phonelogin", "seen_at", models.DateTimeField("last seen", null=True)),
        migrations.AlterField(
            "phonelogin", "begun_at", models.DateTimeField("since", auto_now_add=True)
        ),
        migrations.AlterModelOptions(
            "phonelogin",
            {
                "verbose_name": "browser that a phone logged in",
                "verbose_name_plural": "browsers that a phone logged in",
            },
        ),
        migrations.CreateModel(
            "Pause",
            [
                ("id", id_field()),
                ("since", models.DateTimeField(auto_now_add=True)),
                ("operator", models.CharField(max_length=150)),
            ],
        ),
        migrations.CreateModel(
            "LoginCount",
            [
                ("id", id_field()),
                ("day", models.DateField()),
                ("name", models.CharField(max_length=20)),
                ("number", models.IntegerField(default=0)),
            ],
        ),
        migrations.AddConstraint(
            "logincount",
            models.UniqueConstraint(fields=["day", "name"], name="one_number_a_day"),
        ),
    ]
