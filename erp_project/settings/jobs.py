"""Celery: four queues, late acknowledgement, a static schedule of two ticks.

Business schedules are rows that `core.tick` reads, so beat needs no table and no restart when a module is added.
Tasks carry primary keys only and must bear running twice: a message is acknowledged after its task has ended and
comes again when the worker was killed.
"""

from __future__ import annotations

from .environment import data_dir, env, redis_url

_QUEUES = ("default", "mail", "render", "bulk")

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="") or redis_url(data_dir())
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES = {name: {"exchange": name, "routing_key": name} for name in _QUEUES}
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 2000
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 600_000  # kilobytes: a long PDF passes 300 MB
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TASK_TIME_LIMIT = env.int("TASK_TIME_LIMIT", default=3600)
CELERY_TASK_SOFT_TIME_LIMIT = CELERY_TASK_TIME_LIMIT - 60
# Longer than the longest task, or Redis hands a running task to a second worker.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": CELERY_TASK_TIME_LIMIT + 600,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 30,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A request must not hang on a dead broker: what it would have sent stands in the outbox and goes later.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
CELERY_TIMEZONE = "UTC"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BEAT_SCHEDULE_FILENAME = str(data_dir() / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "core.tick", "schedule": 10.0, "options": {"expires": 30}},
    "dispatch-outbox": {"task": "core.dispatch_outbox", "schedule": 10.0, "options": {"expires": 30}},
}
