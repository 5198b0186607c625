#!/usr/bin/env python3
"""Command line of the project.

`manage.py up` is dispatched before Django is set up: it starts the database that the settings point to, so it
must neither import the settings nor need a working installation of the apps.
"""

import os
import sys


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erp_project.settings.development")
    if len(sys.argv) > 1 and sys.argv[1] == "up":
        from apps.core.runtime.cli import main as up

        return up(sys.argv[2:])
    try:
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError as error:
        if error.name != "django":
            raise
        print(
            "Django is not installed for this interpreter: run `make install`, then .venv/bin/python manage.py",
            file=sys.stderr,
        )
        return 1
    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
