"""What was measured where and when, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecap.html.markup import Child, Node, node
from edgecap.html.tables import scrolled
from edgecap_bench.html.words import NONE, number, plural
from edgecap_bench.report import HERE

__all__ = ["head_facts", "repeat_facts", "warnings_of"]

_SECONDS = 90
"""Up to which a duration is told in seconds."""
_FILE_HEAD = (("file", None), ("of target", "text"), ("bytes", None), ("SHA-256", "text"))
"""Columns of the files' table, and whether they hold text."""


def head_facts(report: Mapping[str, Any]) -> Node:
    """Give what a reader must know before the figures: machine, versions, date, command."""
    machine, settings = report["machine"], report["settings"]
    scored = settings["quality_images"]
    facts: list[tuple[str, Child]] = [
        ("Machine", _machine(machine)),
        *(
            (name, _other_machine(device))
            for name, device in report["devices"].items()
            if name != HERE
        ),
        ("System", f"{machine['system']}, Python {machine['python']}"),
        ("Versions", _versions(machine["versions"])),
        ("Measured", f"{report['started']}, within {_duration(report['seconds'])}"),
        ("Threads", ", ".join(map(str, settings["threads"]))),
        (
            "Photographs",
            f"{plural(len(settings['photos']), 'photograph')} timed, "
            + (
                f"{plural(scored, 'image')} of the {settings['split']} split scored"
                if scored
                else "captions not scored"
            ),
        ),
        ("Command", node("code", report["command"])),
    ]
    return _list(facts)


def warnings_of(report: Mapping[str, Any]) -> list[Node]:
    """Say whether the run was disturbed or ended early, and what else is to be doubted."""
    found = []
    if report["interrupted"]:
        found.append(_note("warn", "Interrupted: the page holds what was measured until then."))
    disturbance = report["disturbance"]
    if disturbance["disturbed"]:
        why = "; ".join(disturbance["why"]) or "the report doesn't say by what"
        found.append(_note("warn", f"This run was disturbed, its times are to be doubted: {why}."))
    else:
        found.append(_note("calm", f"The run was not disturbed{_load(disturbance)}."))
    return found


def repeat_facts(report: Mapping[str, Any]) -> list[Child]:
    """Give what is needed to repeat the run: command, seeds, settings, hashes of the files."""
    machine, settings, disturbance = report["machine"], report["settings"], report["disturbance"]
    calibration = settings["calibration"]
    environment = " ".join(f"{name}={value}" for name, value in settings["environment"].items())
    turns = plural(settings["rounds"], "round")
    if settings.get("most_rounds", settings["rounds"]) > settings["rounds"]:
        turns += f", up to {settings['most_rounds']} where the median was not known to 5 %"
    facts: list[tuple[str, Child]] = [
        ("Command", node("code", report["command"])),
        ("Commit", node("code", machine["commit"]) if machine["commit"] else "none: no checkout"),
        ("Seed", str(settings["seed"])),
        ("Rounds", turns),
        ("Searches", ", ".join(settings["searches"])),
        (
            "Calibration",
            f"up to {calibration['images_at_most']} of {calibration['photographs']}, seed "
            f"{calibration['seed']}"
            if calibration
            else "none",
        ),
        ("Environment", node("code", environment) if environment else NONE),
        ("Processor flags", ", ".join(machine["flags"]) or NONE),
        ("Disturbance", _disturbance(disturbance)),
        *((f"Import, {kind}", _import(cost)) for kind, cost in report["import_cost"].items()),
        ("Photographs", node("details", node("summary", "names"), ", ".join(settings["photos"]))),
    ]
    return [_list(facts), _files(report)]


def _list(facts: Sequence[tuple[str, Child]]) -> Node:
    pairs = (node("div", node("dt", name), node("dd", value)) for name, value in facts)
    return node("dl", *pairs)


def _note(class_: str, text: str) -> Node:
    return node("p", text, class_=f"banner {class_}", role="note")


def _machine(machine: Mapping[str, Any]) -> str:
    said = [machine["cpu"]]
    if machine["cores"]:
        allowed = machine["cores_allowed"]
        cores = plural(machine["cores"], "core")
        said.append(cores if allowed in (None, machine["cores"]) else f"{cores}, {allowed} allowed")
    if machine["memory_mb"]:
        said.append(f"{machine['memory_mb'] / 1000:.0f} GB")
    return ", ".join([*said, machine["architecture"]])


def _other_machine(device: Mapping[str, Any]) -> str:
    """Say what a recording knows of its device, which may be little."""
    said = [str(device[key]) for key in ("cpu", "gpu", "architecture", "system") if device.get(key)]
    if device.get("cores"):
        said.insert(1, plural(device["cores"], "core"))
    return ", ".join(said) or "recorded there"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or NONE


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < _SECONDS else f"{seconds / 60:.0f} minutes"


def _load(disturbance: Mapping[str, Any]) -> str:
    before, after = disturbance["load_before"], disturbance["load_after"]
    if not before or not after:
        return ""
    return f" (load average before {before[0]:.1f}, after {after[0]:.1f})"


def _disturbance(disturbance: Mapping[str, Any]) -> str:
    said = []
    for name, unit in (
        ("load", ""),
        ("frequency_mhz", " MHz"),
        ("temperature_c", " °C"),
        ("throttled", ""),
    ):
        before, after = disturbance[f"{name}_before"], disturbance[f"{name}_after"]
        if before is not None and after is not None:
            told = " to ".join(map(_told, (before, after)))
            said.append(f"{name.partition('_')[0]} {told}{unit}")
    for name, what in (("steal_percent", "stolen"), ("others_percent", "other programs")):
        if disturbance.get(name) is not None:
            said.append(f"{what} {disturbance[name]:.1f} %")
    return "; ".join(said) or "not told by the machine"


def _told(value: Any) -> str:
    """Write a load average, a figure or a machine's own words."""
    if isinstance(value, list):
        return f"{value[0]:.2f}"
    return value if isinstance(value, str) else number(value)


def _import(cost: Mapping[str, Any]) -> str:
    if "error" in cost:
        return f"not measured: {cost['error']}"
    return (
        f"{cost['inside_ms']:.1f} ms over numpy, Pillow and the interpreter "
        f"({cost['difference_ms']:.1f} ms between processes of {cost['base_ms']:.0f} ms)"
    )


def _files(report: Mapping[str, Any]) -> Child:
    """List the files that were measured, each once, with its hash."""
    files: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for row in report["rows"]:
        for file in row["files"]:
            files.setdefault(file["sha256"], (row["target"], file))
    if not files:
        return None
    head = node(
        "thead", node("tr", *(node("th", name, scope="col", class_=of) for name, of in _FILE_HEAD))
    )
    lines = (
        node(
            "tr",
            node("th", file["name"], scope="row"),
            node("td", target, class_="text"),
            node("td", f"{file['bytes']:,}".replace(",", "\u202f")),
            node("td", node("code", file["sha256"]), class_="text"),
        )
        for target, file in files.values()
    )
    return scrolled("Files", head, node("tbody", *lines))
