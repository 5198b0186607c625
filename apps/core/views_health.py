"""Health of this process and of what it needs, for load balancers, supervisors and Prometheus.

`/healthz` says that the process answers. `/readyz` says that it can do work: database, Redis, migrations applied.
`/metrics` is the text format of Prometheus. None of them tells a visitor more than yes or no: causes go to the log.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest, multiprocess
from prometheus_client import REGISTRY as PROCESS_REGISTRY
from redis import Redis
from redis.exceptions import RedisError

from apps.core.models.outbox import OutboxEvent

log = structlog.get_logger("meridian.health")

# Applied migrations stay applied while this code runs, so a yes is remembered; a no is asked again.
_migrated = False


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone())


def _redis() -> bool:
    probe = "health"
    cache.set(probe, "1", 10)
    with Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=3, socket_connect_timeout=3) as broker:
        return bool(broker.ping()) and cache.get(probe) == "1"


def _migrations() -> bool:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


CHECKS: dict[str, Callable[[], bool]] = {"database": _database, "redis": _redis, "migrations": _migrations}


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every check passes, else 503 with the names of those that do not."""
    results = {name: _passes(name, check) for name, check in CHECKS.items()}
    ready = all(results.values())
    body = {
        "status": "ok" if ready else "unavailable",
        "checks": {n: "ok" if r else "failed" for n, r in results.items()},
    }
    return JsonResponse(body, status=200 if ready else 503)


def _passes(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (DatabaseError, RedisError, OSError) as error:
        log.warning("readiness check failed", check=name, error=str(error))
        return False


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Request counts and times of all processes of this host, queue lengths, events waiting for dispatch."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
            return HttpResponse("unauthorized\n", status=401, content_type="text/plain")
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    else:
        body = generate_latest(PROCESS_REGISTRY)
    return HttpResponse(body + generate_latest(_backlog()), content_type=CONTENT_TYPE_LATEST)


def _backlog() -> CollectorRegistry:
    """What waits: shared by all processes, so it is read at scrape time and never kept."""
    registry = CollectorRegistry()
    queued = Gauge("meridian_queue_length", "Messages waiting in a queue", ["queue"], registry=registry)
    pending = Gauge("meridian_outbox_pending", "Events waiting for delivery", registry=registry)
    dead = Gauge("meridian_outbox_dead", "Events that no longer are tried", registry=registry)
    try:
        with Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=3, socket_connect_timeout=3) as broker:
            for name in settings.CELERY_TASK_QUEUES:
                queued.labels(queue=name).set(float(broker.llen(name)))  # type: ignore[arg-type]
        pending.set(OutboxEvent.objects.filter(done_at__isnull=True, dead=False).count())
        dead.set(OutboxEvent.objects.filter(dead=True).count())
    except (RedisError, DatabaseError, OSError) as error:
        log.warning("backlog cannot be read", error=str(error))
    return registry
