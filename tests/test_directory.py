"""directory.py: rows in and bytes out; ids never come twice."""

import pytest

from agent.directory import Directory
from agent.errors import Conflict, Damaged, NotFound


def test_what_goes_in_comes_out_after_a_restart():
    directory = Directory()
    number = directory.add("users", {"firstname": "Jürgen", "voicemail_id": None})
    again = Directory(directory.to_bytes())
    assert again.rows("users") == [{"id": number, "firstname": "Jürgen", "voicemail_id": None}]
    assert again.to_bytes() == directory.to_bytes()


def test_an_id_is_never_given_twice_even_after_a_deletion_and_a_restart():
    directory = Directory()
    assert [directory.add("users", {}) for _ in range(3)] == [1, 2, 3]
    directory.remove("users", 3)
    directory.remove("users", 1)
    assert Directory(directory.to_bytes()).add("users", {}) == 4


def test_each_table_counts_by_itself():
    directory = Directory()
    assert (directory.add("users", {}), directory.add("voicemails", {}), directory.add("users", {})) == (1, 1, 2)


def test_rows_are_copies_that_change_nothing():
    directory = Directory()
    directory.add("users", {"firstname": "Ada"})
    directory.get("users", 1)["firstname"] = "Eve"
    directory.rows("users")[0]["firstname"] = "Eve"
    assert directory.get("users", 1)["firstname"] == "Ada"


def test_an_update_changes_the_named_columns_and_is_found_by_the_new_value():
    directory = Directory()
    directory.add("users", {"firstname": "Ada", "lastname": "Byron"})
    assert directory.find("users", lastname="Byron")["id"] == 1
    directory.update("users", 1, {"lastname": "Lovelace"})
    assert directory.find("users", lastname="Byron") is None
    assert directory.find("users", lastname="Lovelace") == {"id": 1, "firstname": "Ada", "lastname": "Lovelace"}


def test_an_update_to_what_is_there_is_no_change():
    directory = Directory(b'{"users": {"1": {"id": 1, "firstname": "Ada"}}}')
    directory.update("users", 1, {"firstname": "Ada"})
    assert not directory.changed


@pytest.mark.parametrize("call", [lambda d: d.get("users", 7), lambda d: d.update("users", 7, {}), lambda d: d.remove("users", 7)])
def test_what_is_not_there_is_not_found(call):
    with pytest.raises(NotFound, match="there is no 7 in users"):
        call(Directory())


@pytest.mark.parametrize("data", [b"", b"[]", b"x", b'{"users": 3}', b'{"users": {"1": {"firstname": "no id"}}}', b'{"users": {"1": ', b'[' * 100_000])
def test_bytes_that_are_not_ours_are_damaged_never_taken_for_an_empty_directory(data):
    with pytest.raises(Damaged, match="directory.json"):
        Directory(data)


def test_the_bytes_have_one_row_a_line():
    directory = Directory()
    directory.add_all("voicemails", [{"box": "100@default"}, {"box": "101@default"}])
    assert directory.to_bytes().decode().split("\n") == [
        "{",
        ' "sequences": {', '  "1": {"id": 1, "last": 2, "table": "voicemails"}', " },",
        ' "voicemails": {', '  "1": {"box": "100@default", "id": 1},', '  "2": {"box": "101@default", "id": 2}', " }",
        "}", ""]


def test_a_change_is_put_back_row_by_row_over_later_changes_of_other_rows():
    before = Directory()
    before.add("users", {"firstname": "Ada"})
    after = Directory(before.to_bytes())
    after.update("users", 1, {"firstname": "Eve"})
    after.add("users", {"firstname": "Bob"})
    now = Directory(after.to_bytes())
    now.add("users", {"firstname": "Later"})
    now.revert(before, after)
    assert now.rows("users") == [{"id": 1, "firstname": "Ada"}, {"id": 3, "firstname": "Later"}]
    assert now.add("users", {}) == 4, "an id that was given stays used"


def test_a_row_that_changed_since_is_not_put_back():
    before, after = Directory(), Directory()
    after.add("users", {"firstname": "Ada"})
    now = Directory(after.to_bytes())
    now.update("users", 1, {"firstname": "Eve"})
    with pytest.raises(Conflict, match="1 in users has changed since"):
        now.revert(before, after)
