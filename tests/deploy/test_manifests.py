"""The container files, checked against the code without an engine: they parse, agree and name what exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from erp_project.celery import app as celery_app

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
NGINX = (ROOT / "deploy" / "nginx" / "meridian.conf").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OBJECTS: list[dict[str, Any]] = [
    document for path in KUBERNETES for document in yaml.safe_load_all(path.read_text()) if document
]
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")
# Variables that the programs around the application read.
FOREIGN = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS", "REDIS_PASSWORD"}


def known_variables() -> set[str]:
    """Every variable that the settings or the runtime read."""
    sources = [*(ROOT / "erp_project").rglob("*.py"), *(ROOT / "apps" / "core" / "runtime").glob("*.py")]
    text = "\n".join(path.read_text() for path in sources)
    read = re.findall(
        r"""(?:env\.\w+|environ\.get|environment\.get|setdefault)\(\s*"([A-Z][A-Z0-9_]+)\"""", text
    )
    named = re.findall(r"""environ(?:ment)?\["([A-Z][A-Z0-9_]+)"\]""", text)
    libraries = {"PROMETHEUS_MULTIPROC_DIR"}
    assert {"SECRET_KEY", "DATABASE_URL", "ERP_DATA_DIR"} <= set(read)
    return {*read, *named, *libraries}


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [item for item in OBJECTS if item["kind"] == kind]


def pods() -> list[tuple[str, dict[str, Any]]]:
    return [
        (item["metadata"]["name"], item["spec"]["template"]["spec"])
        for item in OBJECTS
        if item["kind"] in ("Deployment", "Job")
    ]


def commands() -> list[tuple[str, list[str]]]:
    found = [
        (name, service["command"]) for name, service in COMPOSE["services"].items() if "build" in service
    ]
    found += [(name, spec["containers"][0]["command"]) for name, spec in pods()]
    last = DOCKERFILE.strip().splitlines()[-1]
    found.append(("Dockerfile", yaml.safe_load(last.removeprefix("CMD "))))
    return found


@pytest.mark.parametrize(
    ("where", "command"), commands(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_names_what_exists(where: str, command: list[str]) -> None:
    assert all(isinstance(word, str) for word in command), "quote numbers"

    if command[0] == "granian":
        module, _, attribute = command[-1].partition(":")
        source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()
        assert re.search(rf"^{attribute} = ", source, re.MULTILINE)
        interface = command[command.index("--interface") + 1]
        assert {"wsgi": "erp_project.wsgi", "asginl": "erp_project.asgi"}[interface] == module
    elif command[0] == "celery":
        assert command[1:3] == ["--app", "erp_project"]
        assert command[3] in ("worker", "beat")
        if command[3] == "worker":
            queues = set(command[command.index("--queues") + 1].split(","))
            assert queues <= set(celery_app.conf.task_queues)
    else:
        assert command[:2] == ["python", "manage.py"]
        assert command[2] in get_commands()


@pytest.mark.parametrize("source", ["compose", "kubernetes"])
def test_every_queue_has_a_worker_and_beat_is_alone(source: str) -> None:
    found = {name: command for name, command in commands() if command[0] == "celery"}
    names = set(COMPOSE["services"]) if source == "compose" else {name for name, _ in pods()}
    mine = {name: command for name, command in found.items() if name in names}

    served = [
        queue
        for command in mine.values()
        if command[3] == "worker"
        for queue in command[command.index("--queues") + 1].split(",")
    ]

    assert sorted(served) == ["bulk", "default", "mail", "render"]
    assert sum(command[3] == "beat" for command in mine.values()) == 1
    if source == "kubernetes":
        beat = next(item for item in of_kind("Deployment") if item["metadata"]["name"] == "meridian-beat")
        assert (beat["spec"]["replicas"], beat["spec"]["strategy"]["type"]) == (1, "Recreate")


def test_every_variable_is_read_by_something() -> None:
    known = known_variables() | FOREIGN
    given = {name for service in COMPOSE["services"].values() for name in service.get("environment", {})}
    for item in [*of_kind("ConfigMap"), *of_kind("Secret")]:
        given |= set(item.get("data", {})) | set(item.get("stringData", {}))
    for _, spec in pods():
        given |= {entry["name"] for entry in spec["containers"][0].get("env", [])}
    example = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert given - known - {"DJANGO_SETTINGS_MODULE"} == set()
    assert set(example) - known - {"DJANGO_SETTINGS_MODULE"} == set()


def test_production_gets_what_it_refuses_to_start_without() -> None:
    from erp_project.settings.guards import unsafe_settings

    application = COMPOSE["services"]["web"]["environment"]
    filled = {name: re.sub(r"\$\{[^}]*\}", "x" * 60, str(value)) for name, value in application.items()}
    config = of_kind("ConfigMap")[0]["data"]
    secret = dict.fromkeys(of_kind("Secret")[0]["stringData"], "x" * 60)

    assert unsafe_settings(filled) == []
    assert unsafe_settings({**config, **secret}) == []
    assert config["DJANGO_SETTINGS_MODULE"] == "erp_project.settings.production"
    assert "DJANGO_SETTINGS_MODULE=erp_project.settings.production" in DOCKERFILE


def test_no_secret_has_a_value() -> None:
    for item in of_kind("Secret"):
        assert set(item["stringData"].values()) == {""}
    for item in of_kind("ConfigMap"):
        assert [name for name in item["data"] if SECRET_NAME.search(name)] == []
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if SECRET_NAME.search(name):
                assert re.fullmatch(r"\$\{[A-Z_]+(:-|:\?[^}]*)\}", value), name
    for _, spec in pods():
        for entry in spec["containers"][0].get("env", []):
            assert not SECRET_NAME.search(entry["name"]), entry["name"]
    for line in (ROOT / ".env.example").read_text().splitlines():
        name, _, value = line.lstrip("#").partition("=")
        if name.isupper() and SECRET_NAME.search(name):
            assert value == "", name


def test_every_image_is_pinned() -> None:
    images = [service["image"] for service in COMPOSE["services"].values()]
    images += [spec["containers"][0]["image"] for _, spec in pods()]
    default = re.search(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert default is not None
    images += [
        image.replace("${PYTHON}", default[1])
        for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    ]

    assert len(images) > 10
    for image in images:
        tag = image.rpartition("/")[2].partition(":")[2]
        assert re.match(r"\d", tag), f"{image} has no version"


def test_ports_agree() -> None:
    def listening(command: list[str]) -> int:
        return int(command[command.index("--port") + 1])

    services = COMPOSE["services"]
    web, live = listening(services["web"]["command"]), listening(services["live"]["command"])
    assert f"server web:{web};" in NGINX
    assert f"server live:{live};" in NGINX
    inner = re.search(r"listen (\d+);", NGINX)
    assert inner is not None
    assert services["nginx"]["ports"] == [f"${{PORT:-8000}}:{inner[1]}"]
    assert f"EXPOSE {web}" in DOCKERFILE

    for name, port in (("web", web), ("live", live)):
        deployment = next(
            item for item in of_kind("Deployment") if item["metadata"]["name"] == f"meridian-{name}"
        )
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        service = next(item for item in of_kind("Service") if item["metadata"]["name"] == f"meridian-{name}")
        assert listening(container["command"]) == container["ports"][0]["containerPort"] == port
        assert service["spec"]["ports"][0]["port"] == port
        assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]


def test_the_live_stream_is_not_held_back() -> None:
    block = re.search(r"location = /live/ \{(.*?)\}", NGINX, re.DOTALL)
    assert block is not None
    assert "proxy_buffering off;" in block[1]
    assert "proxy_pass http://meridian_live;" in block[1]
    ingress = next(item for item in of_kind("Ingress") if item["metadata"]["name"] == "meridian-live")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert ingress["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/live/"


def test_figures_stay_inside() -> None:
    block = re.search(r"location = /metrics \{(.*?)\}", NGINX, re.DOTALL)
    assert block is not None
    assert "return 404;" in block[1]


def test_nginx_blocks_are_balanced() -> None:
    code = re.sub(r"#.*", "", NGINX)
    assert code.count("{") == code.count("}")
    for line in code.splitlines():
        assert not line.strip() or line.strip().endswith(("{", "}", ";")), line


@pytest.mark.parametrize(("name", "spec"), pods(), ids=[name for name, _ in pods()])
def test_pods_run_without_rights(name: str, spec: dict[str, Any]) -> None:
    container = spec["containers"][0]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {spec['securityContext']['runAsUser']} " in DOCKERFILE
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in spec["volumes"]}


def test_every_reference_between_objects_is_met() -> None:
    names = {(item["kind"], item["metadata"]["name"]) for item in OBJECTS}
    assert len(names) == len(OBJECTS)
    for _, spec in pods():
        for source in spec["containers"][0]["envFrom"]:
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            assert (kind, next(iter(source.values()))["name"]) in names
    for ingress in of_kind("Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            assert ("Service", path["backend"]["service"]["name"]) in names
    for item in OBJECTS:
        assert item["kind"] == "Namespace" or item["metadata"]["namespace"] == "meridian"
    volumes = {
        volume.partition(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
    }
    assert {volume for volume in volumes if not volume.startswith(".")} == set(COMPOSE["volumes"])
    for volume in volumes:
        assert not volume.startswith(".") or (ROOT / volume).is_file()


def test_compose_holds_every_process_of_the_design() -> None:
    assert {"web", "live", "worker", "beat", "postgres", "redis", "nginx"} <= set(COMPOSE["services"])


def test_the_image_copies_what_the_repository_has_and_drops_root() -> None:
    instructions = [line for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line.startswith("COPY ")]
    for line in instructions:
        words = shlex.split(line)[1:]
        if any(word.startswith("--from=") for word in words):
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists(), source
    assert DOCKERFILE.rindex("USER meridian") > DOCKERFILE.rindex("RUN ")
