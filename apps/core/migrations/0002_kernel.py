"""The kernel tables that know users and companies, and the functions that keep links within a company."""

import django.core.serializers.json
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from apps.core.db import COMPANY_FUNCTIONS


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0001_initial'),
        ('core', '0001_reference'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(
            [COMPANY_FUNCTIONS],
            [
                "DROP FUNCTION IF EXISTS core_company_move_guard()",
                "DROP FUNCTION IF EXISTS core_company_guard()",
                "DROP FUNCTION IF EXISTS core_company_covers(bigint, bigint)",
            ],
        ),
        migrations.CreateModel(
            name='CustomField',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False, verbose_name='version')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created on')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed on')),
                ('active', models.BooleanField(db_index=True, default=True, verbose_name='active')),
                ('model', models.CharField(help_text='Such as projects.task.', max_length=100, verbose_name='kind of record')),
                ('key', models.CharField(max_length=40, verbose_name='key')),
                ('label', models.CharField(max_length=100, verbose_name='label')),
                ('type', models.CharField(choices=[('text', 'text'), ('long_text', 'long text'), ('integer', 'whole number'), ('decimal', 'decimal number'), ('boolean', 'yes or no'), ('date', 'date'), ('datetime', 'date and time'), ('choice', 'choice'), ('tags', 'several choices'), ('record', 'link to a record')], default='text', max_length=12, verbose_name='type')),
                ('choices', models.JSONField(blank=True, default=list, help_text='For choices: [["key", "Label"], …].', verbose_name='choices')),
                ('target', models.CharField(blank=True, help_text='For links: such as contacts.partner.', max_length=100, verbose_name='linked kind of record')),
                ('required', models.BooleanField(default=False, verbose_name='required')),
                ('filterable', models.BooleanField(default=False, help_text='Lists can be filtered by it; the database keeps an index.', verbose_name='filterable')),
                ('help', models.CharField(blank=True, max_length=200, verbose_name='help')),
                ('sequence', models.PositiveIntegerField(default=10, verbose_name='sequence')),
                ('created_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('updated_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='changed by')),
            ],
            options={
                'verbose_name': 'custom field',
                'verbose_name_plural': 'custom fields',
                'ordering': ('model', 'sequence', 'pk'),
                'constraints': [models.UniqueConstraint(fields=('model', 'key'), name='core_custom_field_key_once', violation_error_message='This kind of record already has a field with that key.'), models.CheckConstraint(condition=models.Q(('key__regex', '^[a-z][a-z0-9_]{0,39}$')), name='core_custom_field_key_form', violation_error_message='A key has lower-case letters, digits and _, and begins with a letter.')],
            },
        ),
        migrations.CreateModel(
            name='Setting',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False, verbose_name='version')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created on')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed on')),
                ('key', models.CharField(max_length=120, verbose_name='key')),
                ('value', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True, verbose_name='value')),
                ('company', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='access.company', verbose_name='company')),
                ('created_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('updated_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='changed by')),
            ],
            options={
                'verbose_name': 'setting',
                'verbose_name_plural': 'settings',
                'ordering': ('key', 'company_id', 'pk'),
                'constraints': [models.UniqueConstraint(fields=('key', 'company'), name='core_setting_once', nulls_distinct=False)],
            },
        ),
    ]
