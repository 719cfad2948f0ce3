"""Which files an include means, and what the C library's own glob says to the same patterns."""

import ctypes
import locale
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.document import Configuration
from agent.document.includes import MOST_ALTERNATIVES, paths, unquoted
from agent.document.inherit import Deadly
from tests.document.memory import Memory

NAMES = ["a", "b", "ab", ".h", "[q]", "{a,b}", "ä", "B", "d/a", "d/b", "d/.h", "e/a", "e.f/a", "a b", "*", "\\a", "-"]
PIECES = [
    "a", "b", "*", "?", "[", "]", "{", "}", ",", "\\", "/", "d", "e", ".", "!", "^", "-", "ä", "h",
    "[ab]", "{a,b}", "[[:alpha:]]", "d/", "*//", "/a/",
]
NOMAGIC_BRACE = 1 << 11 | 1 << 10


class _Found(ctypes.Structure):
    _fields_ = [("count", ctypes.c_size_t), ("paths", ctypes.POINTER(ctypes.c_char_p)), ("rest", ctypes.c_char * 64)]


class Disk:
    """The Files of a real folder."""

    def __init__(self, folder):
        self.folder = folder

    def read(self, path):
        try:
            return (self.folder / path).read_bytes()
        except (OSError, ValueError):
            return None

    def entries(self, folder):
        try:
            return os.listdir(self.folder / folder)
        except (OSError, ValueError):
            return []


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    # So deep that no pattern made here climbs out of it: `.*/` finds `..`, too.
    folder = tmp_path_factory.mktemp("f").joinpath(*"12345678")
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
    except locale.Error:
        pytest.skip("there is no C.UTF-8 here")
    yield Disk(folder)
    locale.setlocale(locale.LC_ALL, before)


def globbed(pattern):
    found = _Found()
    library = ctypes.CDLL(None)
    if library.glob(pattern, NOMAGIC_BRACE, None, ctypes.byref(found)):
        return []
    result = [found.paths[i].decode() for i in range(found.count)]
    library.globfree(ctypes.byref(found))
    return result


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join))
def test_a_pattern_finds_the_files_that_glob_finds(disk, pattern):
    if pattern.startswith("/"):
        return
    ours = [disk.read(path) for path in paths(pattern.encode(), os.fsencode(disk.folder), disk)]
    theirs = [disk.read(path) for path in globbed(os.fsencode(disk.folder) + b"/" + pattern.encode())]
    assert [data for data in ours if data is not None] == [data for data in theirs if data is not None]


@pytest.mark.parametrize("argument, name", [
    (b'"x"', b"x"), (b"<x>", b"x"), (b"'x'", b"'x'"), (b'"x', b'"x'), (b"x y", b"x y"), (b'""x""', b'"x"'), (b'"', b""), (b"<", b"<")])
def test_one_layer_of_matching_quotes_goes(argument, name):
    assert unquoted(argument) == name


def test_folder_and_name_are_cut_to_255_bytes():
    name = b"n" * 300
    assert paths(name, b"/etc/asterisk", Memory({})) == ["n" * (255 - len("/etc/asterisk/"))]
    assert paths(b"/" + name, b"/etc/asterisk", Memory({})) == ["/" + "n" * 254]


def test_an_absolute_path_into_the_folder_is_the_same_file():
    configuration = Configuration.load("main.conf", Memory({
        "main.conf": b"#include /etc/asterisk/x.conf\n#include ./x.conf\n", "x.conf": b"[a]\n"}))
    assert set(configuration.documents) == {"main.conf", "x.conf"}


def test_so_many_alternatives_that_it_never_ends_are_called_deadly():
    with pytest.raises(Deadly):
        paths(b"{a,b}" * 30, b"/etc/asterisk", Memory({}))
    assert 2 ** 10 < MOST_ALTERNATIVES


@pytest.mark.parametrize("other", ["#include x*\n", "#tryinclude x\n"])
def test_each_file_is_asked_for_once(other):
    class Counting(Memory):
        asked = []

        def read(self, path):
            self.asked.append(path)
            return super().read(path)

    files = Counting({"main.conf": b"[a]\n#include x\n" + other.encode(), "x": b"b=1\n"})
    configuration = Configuration.load("main.conf", files)
    configuration.read_anew()
    assert files.asked == ["main.conf", "x"]
