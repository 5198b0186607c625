"""Companies, users, roles, sessions, tokens and the audit trail."""

import django.core.serializers.json
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('core', '0001_reference'),
    ]

    operations = [
        migrations.CreateModel(
            name='User',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False, verbose_name='version')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created on')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed on')),
                ('active', models.BooleanField(db_index=True, default=True, verbose_name='active')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('login', models.CharField(help_text='Usually the e-mail address.', max_length=150, verbose_name='login')),
                ('name', models.CharField(max_length=150, verbose_name='name')),
                ('email', models.EmailField(blank=True, db_index=True, max_length=254, verbose_name='e-mail')),
                ('kind', models.CharField(choices=[('internal', 'employee'), ('portal', 'portal user'), ('public', 'visitor')], default='internal', max_length=10, verbose_name='kind')),
                ('special', models.CharField(blank=True, choices=[('', 'no'), ('system', 'the system'), ('public', 'visitors')], default='', editable=False, max_length=10, verbose_name='used by the platform')),
                ('language', models.CharField(default='en', max_length=10, verbose_name='language')),
                ('timezone', models.CharField(default='UTC', max_length=64, verbose_name='time zone')),
                ('signature', models.TextField(blank=True, verbose_name='signature')),
                ('notification', models.CharField(choices=[('inbox', 'in the inbox'), ('email', 'by e-mail')], default='email', max_length=10, verbose_name='notifications')),
                ('theme', models.CharField(choices=[('auto', 'as the device'), ('light', 'light'), ('dark', 'dark')], default='auto', max_length=10, verbose_name='theme')),
                ('home', models.CharField(blank=True, help_text='Path opened after signing in.', max_length=200, verbose_name='first page')),
                ('preferences', models.JSONField(blank=True, default=dict, editable=False, verbose_name='preferences of the screens')),
                ('must_change_password', models.BooleanField(default=False, verbose_name='must choose a new password')),
                ('password_changed_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='password changed on')),
                ('session_nonce', models.CharField(blank=True, default='', editable=False, max_length=32)),
                ('rights_stamp', models.BigIntegerField(default=0, editable=False)),
                ('created_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('updated_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='changed by')),
            ],
            options={
                'verbose_name': 'user',
                'verbose_name_plural': 'users',
                'ordering': ('name', 'pk'),
            },
        ),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False, verbose_name='version')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created on')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed on')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('prefix', models.CharField(db_index=True, editable=False, max_length=8, verbose_name='begins with')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('scopes', models.JSONField(blank=True, help_text='Empty: all rights of the user.', null=True, verbose_name='scopes')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='valid until')),
                ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='revoked on')),
                ('last_used_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='last used on')),
                ('last_used_ip', models.CharField(blank=True, editable=False, max_length=45, verbose_name='last used from')),
                ('created_ip', models.CharField(blank=True, editable=False, max_length=45, verbose_name='made from')),
                ('created_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('updated_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='changed by')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_tokens', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'API token',
                'verbose_name_plural': 'API tokens',
                'ordering': ('-created_at', '-pk'),
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='when')),
                ('kind', models.CharField(choices=[('login', 'signed in'), ('login_failed', 'sign-in refused'), ('logout', 'signed out'), ('second_factor', 'second factor'), ('password', 'password'), ('user', 'user changed'), ('roles', 'roles changed'), ('companies', 'companies changed'), ('denial', 'refused'), ('token', 'API token'), ('session', 'session'), ('impersonation', 'acted as somebody else'), ('export', 'data exported'), ('deletion', 'data deleted'), ('merge', 'records merged')], max_length=20, verbose_name='kind')),
                ('user_pk', models.BigIntegerField(null=True, verbose_name='user number')),
                ('user_name', models.CharField(blank=True, max_length=150, verbose_name='who')),
                ('ip', models.CharField(blank=True, max_length=45, verbose_name='from')),
                ('channel', models.CharField(blank=True, max_length=20, verbose_name='through')),
                ('request_id', models.CharField(blank=True, max_length=64, verbose_name='request')),
                ('company_pk', models.BigIntegerField(null=True, verbose_name='company number')),
                ('model', models.CharField(blank=True, max_length=120, verbose_name='kind of record')),
                ('object_pk', models.BigIntegerField(null=True, verbose_name='record number')),
                ('object_name', models.CharField(blank=True, max_length=200, verbose_name='record')),
                ('before', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True, verbose_name='before')),
                ('after', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True, verbose_name='after')),
                ('reason', models.CharField(blank=True, max_length=300, verbose_name='reason')),
            ],
            options={
                'verbose_name': 'audit entry',
                'verbose_name_plural': 'audit trail',
                'ordering': ('-pk',),
                'indexes': [models.Index(fields=['kind', '-at'], name='access_audit_kind'), models.Index(fields=['user_pk', '-at'], name='access_audit_user'), models.Index(fields=['model', 'object_pk'], name='access_audit_object'), models.Index(fields=['at'], name='access_audit_at')],
            },
        ),
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('first_pk', models.BigIntegerField()),
                ('last_pk', models.BigIntegerField()),
                ('count', models.PositiveIntegerField()),
                ('digest', models.CharField(max_length=64)),
                ('sealed_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'verbose_name': 'seal of the audit trail',
                'verbose_name_plural': 'seals of the audit trail',
                'ordering': ('pk',),
                'constraints': [models.CheckConstraint(condition=models.Q(('last_pk__gte', models.F('first_pk'))), name='access_seal_in_order'), models.UniqueConstraint(fields=('first_pk',), name='access_seal_once')],
            },
        ),
        migrations.CreateModel(
            name='Company',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False, verbose_name='version')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created on')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed on')),
                ('active', models.BooleanField(db_index=True, default=True, verbose_name='active')),
                ('name', models.CharField(max_length=120, unique=True, verbose_name='name')),
                ('sequence', models.PositiveIntegerField(default=10, verbose_name='sequence')),
                ('timezone', models.CharField(default='UTC', max_length=64, verbose_name='time zone')),
                ('street', models.CharField(blank=True, max_length=200, verbose_name='street')),
                ('street2', models.CharField(blank=True, max_length=200, verbose_name='street, second line')),
                ('zip', models.CharField(blank=True, max_length=24, verbose_name='postal code')),
                ('city', models.CharField(blank=True, max_length=120, verbose_name='city')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='e-mail')),
                ('phone', models.CharField(blank=True, max_length=40, verbose_name='phone')),
                ('website', models.CharField(blank=True, max_length=200, verbose_name='website')),
                ('tax_id', models.CharField(blank=True, max_length=40, verbose_name='tax id')),
                ('registry', models.CharField(blank=True, max_length=60, verbose_name='company registry')),
                ('logo_attachment', models.BigIntegerField(blank=True, editable=False, help_text='Primary key of the attachment that holds it.', null=True, verbose_name='logo')),
                ('primary_color', models.CharField(default='#1f4e79', max_length=7, verbose_name='first colour')),
                ('secondary_color', models.CharField(default='#5b6770', max_length=7, verbose_name='second colour')),
                ('font', models.CharField(default='DejaVu Sans', max_length=60, verbose_name='font of documents')),
                ('report_header', models.TextField(blank=True, help_text="A line under the company's name.", verbose_name='document header')),
                ('report_footer', models.TextField(blank=True, verbose_name='document footer')),
                ('country', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.country', verbose_name='country')),
                ('created_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('currency', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='companies', to='core.currency', verbose_name='currency')),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='branches', to='access.company', verbose_name='branch of')),
                ('state', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.countrystate', verbose_name='state')),
                ('updated_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='changed by')),
            ],
            options={
                'verbose_name': 'company',
                'verbose_name_plural': 'companies',
                'ordering': ('sequence', 'name', 'pk'),
            },
        ),
        migrations.AddField(
            model_name='user',
            name='companies',
            field=models.ManyToManyField(blank=True, related_name='users', to='access.company', verbose_name='companies'),
        ),
        migrations.AddField(
            model_name='user',
            name='company',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='default_users', to='access.company', verbose_name='default company'),
        ),
        migrations.CreateModel(
            name='OneTimeToken',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('invite', 'invitation'), ('reset', 'password reset')], max_length=10)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('state', models.CharField(editable=False, max_length=64)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='one_time_tokens', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'one-time link',
                'verbose_name_plural': 'one-time links',
                'ordering': ('-created_at', '-pk'),
            },
        ),
        migrations.CreateModel(
            name='RightsStamp',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('value', models.BigIntegerField(default=1)),
            ],
            options={
                'ordering': ('pk',),
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='access_rights_stamp_one_row')],
            },
        ),
        migrations.CreateModel(
            name='Role',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False, verbose_name='version')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created on')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed on')),
                ('active', models.BooleanField(db_index=True, default=True, verbose_name='active')),
                ('code', models.CharField(max_length=80, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=120, verbose_name='name')),
                ('category', models.CharField(blank=True, max_length=80, verbose_name='category')),
                ('comment', models.TextField(blank=True, verbose_name='comment')),
                ('kind', models.CharField(choices=[('internal', 'employee'), ('portal', 'portal user'), ('public', 'visitor')], default='internal', help_text='Who may hold it.', max_length=10, verbose_name='for')),
                ('module', models.CharField(blank=True, editable=False, max_length=60, verbose_name='module')),
                ('declared', models.BooleanField(default=False, editable=False, verbose_name='made by a module')),
                ('missing', models.BooleanField(default=False, editable=False, verbose_name='no longer declared')),
                ('for_admins', models.BooleanField(default=False, editable=False, verbose_name='part of Settings')),
                ('sequence', models.PositiveIntegerField(default=10, verbose_name='sequence')),
                ('api_token_days', models.PositiveIntegerField(default=0, help_text="0: this role says nothing; the longest of a user's roles counts.", verbose_name='longest life of an API token, in days')),
                ('created_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('updated_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='changed by')),
            ],
            options={
                'verbose_name': 'role',
                'verbose_name_plural': 'roles',
                'ordering': ('category', 'sequence', 'name', 'pk'),
            },
        ),
        migrations.CreateModel(
            name='RoleGrant',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('model', models.CharField(max_length=120, verbose_name='kind of record')),
                ('operation', models.CharField(max_length=60, verbose_name='operation')),
                ('declared', models.BooleanField(default=False, editable=False, verbose_name='made by a module')),
                ('role', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='grants', to='access.role', verbose_name='role')),
            ],
            options={
                'verbose_name': 'right',
                'verbose_name_plural': 'rights',
                'ordering': ('role_id', 'model', 'operation', 'pk'),
            },
        ),
        migrations.CreateModel(
            name='RoleImplication',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('declared', models.BooleanField(default=False, editable=False, verbose_name='made by a module')),
                ('implied', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='implications_of', to='access.role', verbose_name='implied role')),
                ('role', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='implications', to='access.role', verbose_name='role')),
            ],
            options={
                'verbose_name': 'implied role',
                'verbose_name_plural': 'implied roles',
                'ordering': ('role_id', 'implied_id', 'pk'),
            },
        ),
        migrations.AddField(
            model_name='role',
            name='implied',
            field=models.ManyToManyField(blank=True, related_name='implied_by', through='access.RoleImplication', through_fields=('role', 'implied'), to='access.role', verbose_name='implied roles'),
        ),
        migrations.CreateModel(
            name='TrustedDevice',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('name', models.CharField(blank=True, max_length=100, verbose_name='name')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='trusted on')),
                ('expires_at', models.DateTimeField(verbose_name='until')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='trusted_devices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'trusted device',
                'verbose_name_plural': 'trusted devices',
                'ordering': ('-created_at', '-pk'),
            },
        ),
        migrations.CreateModel(
            name='UserRole',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('given_at', models.DateTimeField(auto_now_add=True, verbose_name='given on')),
                ('given_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('role', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='user_roles', to='access.role')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='user_roles', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'role of a user',
                'verbose_name_plural': 'roles of users',
                'ordering': ('user_id', 'role_id', 'pk'),
            },
        ),
        migrations.AddField(
            model_name='user',
            name='roles',
            field=models.ManyToManyField(blank=True, related_name='users', through='access.UserRole', through_fields=('user', 'role'), to='access.role', verbose_name='roles'),
        ),
        migrations.CreateModel(
            name='UserSession',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('session_key', models.CharField(editable=False, max_length=64, unique=True)),
                ('ip', models.CharField(blank=True, max_length=45, verbose_name='address')),
                ('user_agent', models.CharField(blank=True, max_length=300, verbose_name='user agent')),
                ('browser', models.CharField(blank=True, max_length=40, verbose_name='browser')),
                ('platform', models.CharField(blank=True, max_length=40, verbose_name='system')),
                ('second_factor', models.BooleanField(default=False, verbose_name='with a second factor')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='signed in on')),
                ('last_seen_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='last seen on')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='user_sessions', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'session',
                'verbose_name_plural': 'sessions',
                'ordering': ('-last_seen_at', '-pk'),
            },
        ),
        migrations.AddConstraint(
            model_name='company',
            constraint=models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='access_company_has_name'),
        ),
        migrations.AddConstraint(
            model_name='company',
            constraint=models.CheckConstraint(condition=models.Q(('parent', models.F('id')), _negated=True), name='access_company_not_own_parent', violation_error_message='A company cannot be a branch of itself.'),
        ),
        migrations.AddConstraint(
            model_name='company',
            constraint=models.CheckConstraint(condition=models.Q(('primary_color__regex', '^#[0-9a-fA-F]{6}$'), ('secondary_color__regex', '^#[0-9a-fA-F]{6}$')), name='access_company_colours', violation_error_message='A colour is # and six hexadecimal digits, such as #1f4e79.'),
        ),
        migrations.AddIndex(
            model_name='onetimetoken',
            index=models.Index(fields=['user', 'purpose'], name='access_onetime_of_user'),
        ),
        migrations.AddConstraint(
            model_name='rolegrant',
            constraint=models.UniqueConstraint(fields=('role', 'model', 'operation'), name='access_grant_once'),
        ),
        migrations.AddConstraint(
            model_name='rolegrant',
            constraint=models.CheckConstraint(condition=models.Q(('model__regex', '^(\\*|[a-z][a-z0-9_]*\\.[a-z0-9_]+)$'), ('operation__regex', '^(\\*|[a-z][a-z0-9_]*)$')), name='access_grant_form', violation_error_message='A right is a kind of record such as projects.task and an operation such as view.'),
        ),
        migrations.AddConstraint(
            model_name='roleimplication',
            constraint=models.UniqueConstraint(fields=('role', 'implied'), name='access_implication_once'),
        ),
        migrations.AddConstraint(
            model_name='roleimplication',
            constraint=models.CheckConstraint(condition=models.Q(('role', models.F('implied')), _negated=True), name='access_implication_not_self', violation_error_message='A role cannot imply itself.'),
        ),
        migrations.AddConstraint(
            model_name='role',
            constraint=models.UniqueConstraint(fields=('category', 'name'), name='access_role_name_once', violation_error_message='This category already has a role with that name.'),
        ),
        migrations.AddConstraint(
            model_name='role',
            constraint=models.CheckConstraint(condition=models.Q(('code__regex', '^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$')), name='access_role_code_form', violation_error_message="A role's code looks like sales.manager."),
        ),
        migrations.AddConstraint(
            model_name='role',
            constraint=models.CheckConstraint(condition=models.Q(('name__startswith', '-'), _negated=True), name='access_role_name_form', violation_error_message="A role's name cannot begin with a hyphen."),
        ),
        migrations.AddConstraint(
            model_name='userrole',
            constraint=models.UniqueConstraint(fields=('user', 'role'), name='access_user_role_once'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('login'), name='access_user_login_once', violation_error_message='Another user has this login already.'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('login', ''), _negated=True), name='access_user_has_login'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['internal', 'portal', 'public'])), name='access_user_kind_is_one'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('company__isnull', False), models.Q(('special', ''), _negated=True), _connector='OR'), name='access_user_has_company', violation_error_message="Choose the user's default company."),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('special', ''), ('active', False), _connector='OR'), name='access_user_special_inactive', violation_error_message='An account of the platform itself cannot be activated.'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(condition=models.Q(('special', ''), _negated=True), fields=('special',), name='access_user_special_once'),
        ),
        migrations.AddIndex(
            model_name='usersession',
            index=models.Index(fields=['user', '-last_seen_at'], name='access_session_of_user'),
        ),
    ]
