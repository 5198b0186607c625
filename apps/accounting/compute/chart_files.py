"""Reading the files of a chart: CSV rows and TOML tables that remember where they stand.

Problems are collected rather than raised one by one, so that whoever writes a chart sees all of them at once. Every
problem names the file, the line and what to do.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

_TABLE = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*("[^"]+"|'[^']+'|[A-Za-z0-9_-]+)\s*=""")
_LANGUAGE_COLUMN = re.compile(r"^name_[a-z]{2}$")


class ChartError(ValueError):
    """A chart that is refused. `problems` holds one text per fault: "file:line: what is wrong; what to do"."""

    def __init__(self, chart: str, problems: tuple[str, ...]) -> None:
        self.chart = chart
        self.problems = problems
        super().__init__(f"Chart of accounts '{chart}' is refused:\n" + "\n".join(problems))


@dataclass
class Problems:
    """The faults found so far."""

    chart: str
    found: list[str] = field(default_factory=list)

    def add(self, file: str, line: int, message: str) -> None:
        self.found.append(f"{file}:{line}: {message}")

    def raise_if_any(self) -> None:
        if self.found:
            raise ChartError(self.chart, tuple(self.found))


@dataclass
class Table:
    """One row of a CSV file or one table of a TOML file, with its place.

    Values are taken out by the typed methods; `finish` reports what nobody asked for, which catches mistyped names.
    """

    file: str
    line: int
    key: str
    values: dict[str, Any]
    problems: Problems
    lines: Mapping[str, int] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def at(self, name: str) -> int:
        return self.lines.get(name, self.line)

    def fault(self, message: str, name: str = "") -> None:
        self.problems.add(self.file, self.at(name), message)

    def raw(self, name: str) -> Any:
        self.taken.add(name)
        return self.values.get(name)

    def _typed(self, name: str, kind: type | tuple[type, ...], wanted: str) -> Any:
        value = self.raw(name)
        if value is None or (isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)):
            return value
        self.fault(f"{self.key}: '{name}' must be {wanted}, not {value!r}", name)
        return None

    def text(self, name: str) -> str | None:
        value = self._typed(name, str, "a text in quotes")
        return value.strip() or None if value is not None else None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None and name not in self.values:
            self.fault(f"{self.key}: '{name}' is missing; add it")
        elif value is None and isinstance(self.values.get(name), str):
            self.fault(f"{self.key}: '{name}' is empty; fill it in", name)
        return value or ""

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._typed(name, bool, "true or false")
        return default if value is None else value

    def optional_flag(self, name: str) -> bool | None:
        return self._typed(name, bool, "true or false")

    def number(self, name: str, default: Decimal | None = None) -> Decimal:
        value = self._typed(name, (int, Decimal), "a number")
        if value is None:
            if default is None and name not in self.values:
                self.fault(f"{self.key}: '{name}' is missing; add it")
            return default or Decimal(0)
        return Decimal(value)

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            self.fault(f'{self.key}: \'{name}\' must be a list of texts, like ["a", "b"]', name)
            return ()
        return tuple(value)

    def choice(self, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(name)
        if value is None and default is not None:
            return default
        if value not in allowed:
            self.fault(f"{self.key}: '{name}' is {value!r}; write one of {', '.join(allowed)}", name)
            return allowed[0]
        return value

    def names(self, language: str) -> Mapping[str, str]:
        """All wordings of `name`; English falls back to the local one."""
        local = self.required("name")
        found = {language: local, "en": self.text("name_en") or local}
        for column in self.values:
            if _LANGUAGE_COLUMN.match(column) and column != "name_en":
                wording = self.text(column)
                if wording:
                    found[column[5:]] = wording
        if language == "en":
            found["en"] = local
        return MappingProxyType(found)

    def finish(self) -> None:
        for name in self.values:
            if name not in self.taken and not _LANGUAGE_COLUMN.match(str(name)):
                self.fault(
                    f"{self.key}: nothing is called '{name}' here; correct the name or remove it", name
                )


def _locate(text: str) -> dict[str, dict[str, int]]:
    """Table header -> {"" : its line, key : the line of that key}."""
    places: dict[str, dict[str, int]] = {"": {"": 1}}
    current = places[""]
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            current = places.setdefault(header[1].replace('"', ""), {"": number})
        elif key := _KEY.match(line):
            current.setdefault(key[1].strip("\"'"), number)
    return places


@dataclass
class TomlFile:
    """A TOML file whose tables know their lines."""

    name: str
    content: dict[str, Any]
    places: dict[str, dict[str, int]]
    problems: Problems

    def table(self, path: str = "", key: str = "") -> Table:
        """The table at a dotted path ("" = what stands before the first header); empty when absent."""
        value: Any = self.content
        for part in path.split(".") if path else ():
            value = value.get(part, {}) if isinstance(value, dict) else {}
        lines = self.places.get(path, {"": 1})
        if not isinstance(value, dict):
            self.problems.add(self.name, lines[""], f"'{path}' must be a table, written [{path}]")
            value = {}
        if not path:
            value = {name: part for name, part in value.items() if not isinstance(part, dict)}
        return Table(self.name, lines[""], key or path or "file", dict(value), self.problems, lines)

    def tables(self, section: str) -> Iterator[Table]:
        """Every [section.key], in the order of the file."""
        for key in self.table(section).values:
            yield self.table(f"{section}.{key}", key)

    def known_sections(self, *sections: str) -> None:
        for name, value in self.content.items():
            if isinstance(value, dict) and name not in sections:
                places = [lines[""] for path, lines in self.places.items() if path.split(".")[0] == name]
                wanted = ", ".join(f"[{section}]" for section in sections)
                line = min(places, default=1)
                self.problems.add(self.name, line, f"no section is called '{name}'; sections are {wanted}")


def read_toml(path: Path, problems: Problems) -> TomlFile:
    """Read a TOML file; one that is absent or malformed is a problem and reads as empty."""
    text = _read(path, problems)
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        problems.add(path.name, int(place[1]) if place else 1, f"is not valid TOML: {error}")
        content = {}
    return TomlFile(path.name, content, _locate(text), problems)


def read_csv(path: Path, columns: tuple[str, ...], problems: Problems) -> list[Table]:
    """Read a CSV file with a header line; empty lines and lines beginning with # are left out.

    The first column is the key of a row. `columns` are allowed, besides name_<language>.
    """
    header: list[str] = []
    rows: list[Table] = []
    for number, line in enumerate(_read(path, problems).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]
        if not header:
            header = cells
            for name in header:
                if name not in columns and not _LANGUAGE_COLUMN.match(name):
                    problems.add(
                        path.name, number, f"column '{name}' is unknown; columns are {', '.join(columns)}"
                    )
            continue
        if len(cells) != len(header):
            problems.add(
                path.name, number, f"has {len(cells)} cells, the header has {len(header)}; quote commas"
            )
            continue
        values = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        rows.append(Table(path.name, number, cells[0], values, problems))
    return rows


def _read(path: Path, problems: Problems) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        problems.add(path.name, 1, f"is missing; create {path.name}")
    except UnicodeDecodeError:
        problems.add(path.name, 1, "is not UTF-8; save it as UTF-8")
    return ""
