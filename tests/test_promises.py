"""Guards in place of registries and written rules: what somebody could forget when adding to the house fails here, and says what is missing."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import agent.resources
from agent import errors, settings, web
from agent.dialects.wire import Kind, Route

ROOT = Path(__file__).parent.parent
DIALECTS = web.discover()
FAMILIES = [each for _, each in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_module_of_a_dialect_has_a_scenario_file(dialect):
    modules = {each.stem for each in (ROOT / "agent/dialects" / dialect).glob("*.py")} - {"__init__"}
    scenarios = {each.stem for each in (ROOT / "tests/scenarios" / dialect).glob("*.txt")}
    assert modules <= scenarios, f"no scenario for {sorted(modules - scenarios)} in tests/scenarios/{dialect}/"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_has_a_status_for_every_error(dialect):
    declared, _ = DIALECTS[dialect]
    for family in FAMILIES:
        if family is not errors.Fault:
            made = family("x", retry_after_s=1) if family is errors.Throttled else family("x")
            assert 400 <= declared.status(made) < 600


@pytest.mark.parametrize("right", ["", None, "users", "confd users read"])
def test_a_route_without_a_right_stops_the_start(right):
    with pytest.raises(ValueError, match="names no right"):
        Route("GET", "/users", Kind.READ, right, lambda view, request: None)


def test_each_setting_stands_in_the_sample_with_its_default():
    text = (ROOT / "etc/agent.conf").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", text, re.M | re.S))
    assert list(sections) == [each.name for each in dataclasses.fields(settings.Settings)]
    for section in dataclasses.fields(settings.Settings):
        shown = dict(re.findall(r"^#(\w+) = ?(.*)$", sections[section.name], re.M))
        declared = {each.name: each for each in dataclasses.fields(section.default)}
        assert list(shown) == list(declared), f"[{section.name}]"
        for name, text in shown.items():
            assert declared[name].metadata["cast"](text) == declared[name].default, f"[{section.name}] {name}"


def test_each_resource_file_has_its_reload():
    for module in pkgutil.iter_modules(agent.resources.__path__):
        for file, reload in getattr(importlib.import_module(f"agent.resources.{module.name}"), "FILES", {}).items():
            assert file.endswith(".conf") and reload


def test_each_field_a_dialect_shows_is_one_the_resource_has(box):
    """A wire name that maps to no field of its resource is a typing error; found by showing one of each."""
    box.write("voicemail.conf", b"[default]\n100 => 1\n")
    box.request("POST", "/1.0/users", b'{"firstname": "Ada"}')
    for kind in ("users", "voicemails"):
        shown = box.request("GET", f"/1.0/{kind}/1").json
        schema = next(route.schema for route in DIALECTS["xivo10"][1] if route.path == f"/{kind}")
        assert set(shown) == {*schema().fields, *schema.ALIASES}


def test_the_map_in_the_readme_names_every_room():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = {each.name for each in (ROOT / "agent").iterdir() if not each.name.startswith("__")}
    missing = [name for name in sorted(rooms) if f"{name}" not in text]
    assert not missing, f"README's map lacks {missing}"
