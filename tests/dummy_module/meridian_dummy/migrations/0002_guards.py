"""What PostgreSQL guards and speeds up for gadgets."""

from django.db import migrations

from apps.core.db import AddCompanyGuard, AddSearchIndex


class Migration(migrations.Migration):
    dependencies = [("dummy", "0001_initial"), ("core", "0002_kernel")]

    operations = [
        AddCompanyGuard("gadget", ("maker", "customer")),
        AddSearchIndex("gadget", ("name", "note")),
        AddSearchIndex("gadgetmaker", ("name",)),
    ]
