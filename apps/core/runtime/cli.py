"""`manage.py up`: the whole system on one machine, from nothing to the first page, and down again.

In this order: check the machine, take or start the servers, bring the database in line, load the demo story once,
start web, live, worker and beat, wait until /readyz is green, say where everything is. Whatever goes wrong is said
in a sentence, and the exit code is not zero.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from . import checks, ports
from .fingerprint import fingerprint
from .holder import holder_of
from .locks import FileLock
from .output import Output
from .plan import system
from .problems import RuntimeProblem, explain_os_error
from .services import ROOT, Services
from .state import StateError, read_state, write_state
from .supervisor import Supervisor

READY_SECONDS = 120
_FALSE = {"", "0", "false", "no", "off"}


class Stopped(BaseException):
    """Somebody asked the supervisor to end. Not an Exception, so that nothing on the way swallows it.

    Its text is the name of the signal.
    """


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    output = Output()
    _listen_for_signals()
    try:
        return _run(options, output)
    except Stopped as stopped:
        output.say(f"stopped on {stopped}")
        return 0
    except (RuntimeProblem, StateError) as problem:
        output.say(f"error: {problem}")
        return 1
    except OSError as error:
        output.say(f"error: {explain_os_error(error, 'Cannot start')}")
        return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    _read_dotenv()
    parser = argparse.ArgumentParser(prog="manage.py up", description=__doc__.split("\n\n")[0])
    parser.add_argument("--host", default=os.environ.get("HOST", ports.LOOPBACK), help="address to listen on")
    parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"), help="port of the web")
    parser.add_argument("--web-workers", type=int, default=os.environ.get("WEB_WORKERS", "2"))
    parser.add_argument("--worker-processes", type=int, default=os.environ.get("WORKER_PROCESSES", "2"))
    return parser.parse_args(arguments)


def _read_dotenv() -> None:
    """Variables of `.env` that the environment does not set already, as the settings read them."""
    if os.environ.get("ERP_IGNORE_DOTENV"):
        return
    import environ

    environ.Env.read_env(ROOT / ".env")


def _listen_for_signals() -> None:
    def stop(signum: int, frame: FrameType | None) -> None:
        # A second Ctrl-C must not interrupt the orderly stop that the first one began.
        for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(again, signal.SIG_IGN)
        raise Stopped(signal.Signals(signum).name)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, stop)


def _run(options: argparse.Namespace, output: Output) -> int:
    started = time.monotonic()
    data_dir = _prepare_data_dir()
    checks.ensure_packages(install=False)
    environment = _environment(options, data_dir)
    with ExitStack() as cleanup:
        starting = cleanup.enter_context(FileLock(data_dir / "up.lock"))
        if not starting.try_exclusive():
            output.say("another start in this folder is under way, waiting for it")
            starting.acquire(seconds=600, waiting_for="another start in this folder")
        supervisor = Supervisor(
            root=ROOT,
            environment=environment,
            output=output,
            record=data_dir / "run" / f"{options.port}.json",
        )
        supervisor.end_leftovers()
        _require_port(options.host, options.port)

        services = _services(data_dir, output)
        cleanup.callback(_let_go, services, output)
        environment.update(_addresses(services))
        cleanup.callback(supervisor.stop)
        cleanup.callback(output.say, "stopping")
        _prepare_database(supervisor, environment, data_dir)
        starting.release()

        live_port = _live_port(data_dir, options.port)
        specs = system(
            host=options.host,
            port=options.port,
            live_port=live_port,
            data_dir=data_dir,
            web_workers=options.web_workers,
            worker_processes=options.worker_processes,
        )
        # Starting is all processor time: what visitors wait for goes first, the rest starts while they look.
        supervisor.start([spec for spec in specs if spec.serves])
        _wait_ready(supervisor, environment, data_dir, options)
        _wait_live(supervisor, live_port)
        supervisor.start([spec for spec in specs if not spec.serves])
        _announce(output, options, environment, data_dir, time.monotonic() - started)
        trouble = supervisor.watch(services.failure)
        raise RuntimeProblem(f"{trouble}; everything else is being stopped")


def _prepare_data_dir() -> Path:
    data_dir = (ROOT / os.environ.get("ERP_DATA_DIR", "var")).resolve()
    try:
        data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        for name in ("run", "log", "files", "outbox"):
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, f"The data directory {data_dir} cannot be used") from error
    checks.check_disk(data_dir)
    return data_dir


def _environment(options: argparse.Namespace, data_dir: Path) -> dict[str, str]:
    """What every child is given on top of the caller's environment."""
    environment = dict(os.environ)
    environment.setdefault("DJANGO_SETTINGS_MODULE", "erp_project.settings.development")
    if environment["DJANGO_SETTINGS_MODULE"].endswith(".development"):
        environment.setdefault("ERP_DEMO", "1")
    metrics = data_dir / "run" / f"metrics-{options.port}"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(mode=0o700)
    # Half of a process's starting time would go into compiling two thousand modules, every time.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment |= {
        "ERP_DATA_DIR": str(data_dir),
        "PORT": str(options.port),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")])),
    }
    return environment


def _require_port(host: str, port: int) -> None:
    if not ports.is_free(port, host):
        who = holder_of(port)
        raise RuntimeProblem(
            f"Port {port} on {host} is in use{f' by {who}' if who else ''}. "
            f"Stop that, or choose another port: make run PORT={ports.free_port(port + 1)}"
        )


def _services(data_dir: Path, output: Output) -> Services:
    given = {"postgres": os.environ.get("DATABASE_URL"), "valkey": os.environ.get("REDIS_URL")}
    wanted = {name for name, url in given.items() if not url}
    services = Services(data_dir, wanted)
    if wanted:
        output.say(f"embedded servers: {', '.join(sorted(wanted))} (data in {data_dir})")
    return services


def _addresses(services: Services) -> dict[str, str]:
    found = services.hold()
    names = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}
    return {names[key]: url for key, url in found.items()}


def _let_go(services: Services, output: Output) -> None:
    if not services.let_go():
        output.say("the embedded servers stay up for another run in this folder")


def _prepare_database(supervisor: Supervisor, environment: dict[str, str], data_dir: Path) -> None:
    """Migrate when something changed since the last time; load the demo story when it is wanted and not yet there."""
    current = fingerprint(ROOT, data_dir, environment)
    embedded = not os.environ.get("DATABASE_URL")
    state = read_state(data_dir)
    if not embedded or state.get("migrated") != current:
        supervisor.output.say("bringing the database in line with the code")
        _migrate(supervisor)
        _remember(data_dir, migrated=current)
    demo = environment.get("ERP_DEMO", "").strip().lower() not in _FALSE
    if demo and (not embedded or state.get("demo") != "loaded"):
        supervisor.output.say("loading the demo data")
        supervisor.run_to_end("demo", [sys.executable, "manage.py", "demo", "--skip-checks"])
        _remember(data_dir, demo="loaded")


def _migrate(supervisor: Supervisor) -> None:
    supervisor.run_to_end(
        "migrate", [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0", "--skip-checks"]
    )


def _remember(data_dir: Path, **values: Any) -> None:
    write_state(data_dir, {**read_state(data_dir), **values})


def _live_port(data_dir: Path, port: int) -> int:
    """The live process of each web port keeps its own port between starts where it can."""
    remembered = read_state(data_dir).get("live_ports", {})
    found = ports.free_port(remembered.get(str(port)))
    if remembered.get(str(port)) != found:
        _remember(data_dir, live_ports={**remembered, str(port): found})
    return found


def _wait_ready(
    supervisor: Supervisor, environment: dict[str, str], data_dir: Path, options: argparse.Namespace
) -> None:
    url = f"http://{_reachable(options.host)}:{options.port}/readyz"
    failing = supervisor.wait_ready(url, seconds=READY_SECONDS)
    if failing.get("migrations") == "failed":  # the database is not the one that was remembered
        _migrate(supervisor)
        _remember(data_dir, migrated=fingerprint(ROOT, data_dir, environment))
        failing = supervisor.wait_ready(url, seconds=READY_SECONDS)
    if failing:
        named = ", ".join(f"{name}: {result}" for name, result in sorted(failing.items()) if result != "ok")
        raise RuntimeProblem(f"'web' is not ready after {READY_SECONDS} s ({named})")


def _wait_live(supervisor: Supervisor, port: int) -> None:
    failing = supervisor.wait_ready(f"http://{ports.LOOPBACK}:{port}/healthz", seconds=READY_SECONDS)
    if failing:
        raise RuntimeProblem(f"'live' does not answer after {READY_SECONDS} s")


def _reachable(host: str) -> str:
    return ports.LOOPBACK if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host  # noqa: S104


def _announce(
    output: Output, options: argparse.Namespace, environment: dict[str, str], data_dir: Path, seconds: float
) -> None:
    base = f"http://{_reachable(options.host)}:{options.port}"
    lines = [
        "",
        f"ready after {seconds:.1f} s",
        f"  back office   {base}/admin/",
        f"  portal        {base}/my",
        f"  REST          {base}/api/v1/   (documentation: {base}/api/v1/docs/)",
        f"  health        {base}/readyz   {base}/metrics",
    ]
    if environment.get("ERP_DEMO", "").strip().lower() not in _FALSE:
        lines.append("  demo logins   staff admin / admin, customer portal / portal")
    if not environment.get("EMAIL_URL"):
        lines.append(f"  outgoing mail is written to {data_dir / 'outbox'}, none leaves this machine")
    lines += ["Ctrl-C stops everything.", ""]
    for line in lines:
        output.say(line)
