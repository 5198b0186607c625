"""Webhooks are found by any part of their name."""

from django.db import migrations

from apps.core.db import AddSearchIndex


class Migration(migrations.Migration):
    dependencies = [("api", "0001_initial")]

    operations = [AddSearchIndex("webhookendpoint", ("name",))]
