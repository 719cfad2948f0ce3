"""The import arrows of the house: down only, and one door for each library of somebody else's."""

import ast
from pathlib import Path

import pytest

import agent

HOUSE = Path(agent.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))

#: room: the rooms it may import (itself, and `errors` for all, besides)
MAY_IMPORT = {
    "errors": set(),
    "settings": set(), "document": set(), "transaction": set(), "asterisk": set(), "access": set(), "directory": set(),
    "resources": {"document", "directory"},
    "dialects": {"resources"},
    "edit": {"transaction", "directory"},
    "apply": {"edit", "transaction", "asterisk", "directory"},
    "web": {"dialects", "access"},
    "server": set(), "tls": set(),
    "build": None,      # everything
    "cli": {"build", "settings", "diff"},
    "diff": set(),
    "__main__": {"cli"},
    "__init__": set(),
}

#: library: the rooms that may import it
DOORS = {
    "bottle": {"web"},
    "waitress": {"server"},
    "OpenSSL": {"tls"},
    "cryptography": {"tls"},
    "tinydb": {"directory"},
    "marshmallow": {"dialects/wire"},
    "passlib": {"access/htpasswd"},
}


def room(file):
    return file.relative_to(HOUSE).parts[0].removesuffix(".py")


def imports(file):
    """Yield (module imported, line) for each import, relative ones made absolute."""
    package = ["agent", *file.relative_to(HOUSE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((each.name, node.lineno) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node.lineno
            yield from ((f"{module}.{each.name}", node.lineno) for each in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_imports_go_down_only(file):
    allowed = MAY_IMPORT[room(file)]
    for module, line in imports(file):
        parts = module.split(".")
        if parts[0] == "agent" and len(parts) > 1 and (HOUSE / parts[1]).with_suffix(".py").exists() | (HOUSE / parts[1]).is_dir():
            assert allowed is None or parts[1] in {*allowed, "errors", room(file)}, f"line {line} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_each_library_has_one_door(file):
    here = str(file.relative_to(HOUSE).with_suffix(""))
    for module, line in imports(file):
        doors = DOORS.get(module.split(".")[0])
        assert doors is None or any(here == door or here.startswith(door + "/") for door in doors), f"line {line} imports {module}"


def test_no_module_imports_in_a_circle():
    graph = {}
    names = {".".join(["agent", *file.relative_to(HOUSE).with_suffix("").parts]).removesuffix(".__init__"): file for file in FILES}
    for name, file in names.items():
        graph[name] = {module for module, _ in imports(file) if module in names and module != name and not name.startswith(module + ".")}
    done, path = set(), []

    def visit(name):
        assert name not in path, "circle: " + " → ".join([*path[path.index(name):], name])
        if name not in done:
            path.append(name)
            for each in sorted(graph[name]):
                visit(each)
            path.pop()
            done.add(name)

    for name in sorted(graph):
        visit(name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_no_function_imports_our_own_package(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            own = [each.lineno for each in ast.walk(node)
                   if isinstance(each, ast.ImportFrom) and (each.level or (each.module or "").startswith("agent"))
                   or isinstance(each, ast.Import) and any(name.name.startswith("agent") for name in each.names)]
            assert not own, f"lines {own}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_no_shell_is_ever_started(file):
    assert not {"subprocess", "pty", "commands"} & {module.split(".")[0] for module, _ in imports(file)}
    text = file.read_text(encoding="utf-8")
    assert not [call for call in ("shell=True", "os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "os.fork") if call in text]
