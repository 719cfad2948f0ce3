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
from agent.asterisk.modules import MODULES
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


def test_each_file_a_resource_opens_has_its_reload_and_nobody_else_claims_it():
    for module in pkgutil.iter_modules(agent.resources.__path__):
        loaded = importlib.import_module(f"agent.resources.{module.name}")
        files = getattr(loaded, "FILES", {})
        opened = re.findall(r"configuration\(([^)]+)\)", inspect.getsource(loaded))
        for name in opened:
            assert eval(name, vars(loaded)) in files, f"{module.name} opens {name}, which its FILES lacks"
        assert not set(files) & set(MODULES), f"agent/asterisk/modules.py names them too: {set(files) & set(MODULES)}"


def test_each_field_a_dialect_shows_is_one_the_resource_has(box):
    """A wire name that maps to no field of its resource is a typing error; found by showing one of each."""
    box.write("voicemail.conf", b"[default]\n100 => 1\n")
    box.request("POST", "/1.0/users", b'{"firstname": "Ada"}')
    checked = set()
    for dialect, routes in DIALECTS.values():
        for route in routes:
            if route.schema and route.method == "GET" and route.path.endswith("/{id}"):
                shown = box.request("GET", dialect.prefix + route.path.replace("{id}", "1"))
                assert shown.status_int == 200, f"make one {route.path} in this test"
                assert set(shown.json) == {*route.schema.declared().fields, *route.schema.ALIASES}
                checked.add(route.schema)
    assert checked == {route.schema for _, routes in DIALECTS.values() for route in routes if route.schema}


def test_the_map_in_the_readme_names_every_room():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = {each.name for each in (ROOT / "agent").iterdir() if not each.name.startswith("__")}
    missing = [name for name in sorted(rooms) if f"{name}" not in text]
    assert not missing, f"README's map lacks {missing}"
