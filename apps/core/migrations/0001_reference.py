"""Extensions, SQL functions and the tables that need no user: reference data and the outbox."""

import django.core.serializers.json
import django.db.models.deletion
import django.utils.timezone
from django.contrib.postgres.operations import BtreeGistExtension, TrigramExtension, UnaccentExtension
from django.db import migrations, models

from apps.core.db import APPEND_ONLY_FUNCTION, SEARCH_FUNCTIONS


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        BtreeGistExtension(),
        TrigramExtension(),
        UnaccentExtension(),
        migrations.RunSQL(
            [SEARCH_FUNCTIONS, APPEND_ONLY_FUNCTION],
            [
                'DROP FUNCTION IF EXISTS core_vector(text, "char")',
                'DROP FUNCTION IF EXISTS core_fold(text)',
                'DROP FUNCTION IF EXISTS core_refuse_change()',
            ],
        ),
        migrations.CreateModel(
            name='Currency',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('code', models.CharField(max_length=3, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('symbol', models.CharField(blank=True, max_length=8, verbose_name='symbol')),
                ('symbol_before', models.BooleanField(default=False, verbose_name='symbol before the amount')),
                ('decimals', models.PositiveSmallIntegerField(default=2, verbose_name='decimals')),
                ('rounding', models.DecimalField(decimal_places=6, default='0.01', max_digits=12, verbose_name='rounding step')),
                ('unit_name', models.CharField(blank=True, max_length=40, verbose_name='unit in words')),
                ('subunit_name', models.CharField(blank=True, max_length=40, verbose_name='subunit in words')),
                ('active', models.BooleanField(db_index=True, default=False, verbose_name='active')),
            ],
            options={
                'verbose_name': 'currency',
                'verbose_name_plural': 'currencies',
                'ordering': ('code',),
                'constraints': [models.CheckConstraint(condition=models.Q(('rounding__gt', 0)), name='core_currency_rounding_positive'), models.CheckConstraint(condition=models.Q(('code__regex', '^[A-Z]{3}$')), name='core_currency_code_is_iso'), models.CheckConstraint(condition=models.Q(('decimals__lte', 6)), name='core_currency_decimals_max')],
            },
        ),
        migrations.CreateModel(
            name='Country',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('code', models.CharField(max_length=2, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=80, unique=True, verbose_name='name')),
                ('phone_code', models.PositiveIntegerField(blank=True, null=True, verbose_name='phone code')),
                ('address_format', models.TextField(default='{street}\n{street2}\n{zip} {city}\n{state_name}\n{country_name}', help_text='Placeholders: street, street2, zip, city, state_code, state_name, country_name, country_code, company_name.', verbose_name='address format')),
                ('state_required', models.BooleanField(default=False, verbose_name='state required')),
                ('zip_required', models.BooleanField(default=False, verbose_name='postal code required')),
                ('tax_id_label', models.CharField(blank=True, max_length=40, verbose_name='name of the tax id')),
                ('is_eu', models.BooleanField(default=False, verbose_name='member of the European Union')),
                ('currency', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.currency', verbose_name='currency')),
            ],
            options={
                'verbose_name': 'country',
                'verbose_name_plural': 'countries',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='OutboxEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=120)),
                ('payload', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('actor', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('done_at', models.DateTimeField(null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('error', models.TextField(blank=True, default='')),
                ('dead', models.BooleanField(default=False)),
            ],
            options={
                'ordering': ('pk',),
                'indexes': [models.Index(condition=models.Q(('dead', False), ('done_at__isnull', True)), fields=['next_attempt_at', 'id'], name='core_outbox_waiting')],
            },
        ),
        migrations.CreateModel(
            name='OutboxDelivery',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('handler', models.CharField(max_length=200)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('event', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='core.outboxevent')),
            ],
            options={
                'ordering': ('pk',),
            },
        ),
        migrations.CreateModel(
            name='CountryState',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('code', models.CharField(max_length=8, verbose_name='code')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('country', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='states', to='core.country', verbose_name='country')),
            ],
            options={
                'verbose_name': 'state',
                'verbose_name_plural': 'states',
                'ordering': ('country_id', 'name', 'pk'),
                'constraints': [models.UniqueConstraint(fields=('country', 'code'), name='core_state_code_once', violation_error_message='This country already has a state with that code.')],
            },
        ),
        migrations.AddConstraint(
            model_name='country',
            constraint=models.CheckConstraint(condition=models.Q(('code__regex', '^[A-Z]{2}$')), name='core_country_code_is_iso'),
        ),
        migrations.AddConstraint(
            model_name='outboxdelivery',
            constraint=models.UniqueConstraint(fields=('event', 'handler'), name='core_outbox_delivered_once'),
        ),
    ]
