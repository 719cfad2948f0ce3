"""wire.py: bodies, pages, Accept, and the types of fields."""

import pytest

from agent.dialects import wire
from agent.errors import Invalid


class Thing(wire.Object):
    id = wire.Number()
    name = wire.Text(attribute="fullname")
    flag = wire.Flag()
    size = wire.Number()

    ALIASES = {"width": "size"}
    READ_ONLY = frozenset({"id"})


def test_an_object_is_shown_in_the_wires_names_with_its_aliases():
    assert Thing.show({"id": 3, "fullname": "x", "flag": True, "size": 7}) == {"id": 3, "name": "x", "flag": 1, "size": 7, "width": 7}


def test_a_body_is_taken_in_the_resources_names():
    assert Thing.take({"id": 9, "name": None, "flag": "true", "width": "12"}) == {"fullname": "", "flag": True, "size": 12}


def test_every_wrong_name_is_said_in_the_bodys_order():
    with pytest.raises(Invalid) as caught:
        Thing.take({"zebra": 1, "flag": 2, "apple": None, "name": []})
    assert caught.value.fields == {"zebra": "", "flag": "must be 0 or 1", "apple": "", "name": "must be a string"}


@pytest.mark.parametrize("body, size", [({"size": 4, "width": 3}, 4), ({"width": 4, "size": 3}, 4), ({"size": 3, "width": 4}, 4), ({"width": 3, "size": 3}, 3)])
def test_of_a_name_and_its_alias_the_changed_one_is_meant(body, size):
    assert Thing.take(body, current={"id": 1, "fullname": "x", "flag": False, "size": 3})["size"] == size


@pytest.mark.parametrize("value, number", [(7, 7), ("7", 7), (0, None), ("0", None), (None, None), ("", None)])
def test_numbers_come_as_numbers_or_digits(value, number):
    assert Thing.take({"size": value}) == {"size": number}


@pytest.mark.parametrize("value", [True, -1, 1.5, "1.5", "-1", "7\n", "٧", [], {}, "1" * 16])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(Invalid):
        Thing.take({"size": value})


@pytest.mark.parametrize("value", [2, "yes", None, 1.0, [], ""])
def test_what_is_no_flag_is_refused(value):
    with pytest.raises(Invalid):
        Thing.take({"flag": value})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"null", b'"x"', b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1, "a": 1}', b"\xff{}", b'{"a": "\xff"}',
                                  b"[" * 200_000, b'{"a":' * 100_000, b"{}x", "{}".encode("utf-16")])
def test_what_is_no_json_object_is_refused(data):
    with pytest.raises(wire.Unparsable):
        wire.parse_object(data)


def test_a_body_keeps_the_senders_order():
    assert list(wire.parse_object(b'{"b": 1, "a": 2}')) == ["b", "a"]


@pytest.mark.parametrize("accept, covered", [
    ("application/json", True), ("*/*", True), ("application/*", True), ("text/html, application/json;q=0.5", True), ("APPLICATION/JSON; charset=utf-8", True),
    ("text/html", False), ("", False), ("application/json;q=0", False), ("application/json;q=0, */*", False), ("*/*;q=0.0", False), ("text/*", False),
    ("application/json;q=nan", False), ("application/json ; q=0.001", True), ("application/jsonx", False)])
def test_accept_is_read_as_rfc_9110_says(accept, covered):
    assert wire.covers_json(accept) is covered


@pytest.mark.parametrize("query, items", [
    ({}, [0, 1, 2, 3, 4]), ({"_page": "1"}, [0, 1, 2, 3, 4]), ({"_page": "0", "_pagesize": "2"}, [0, 1]), ({"_page": "2", "_pagesize": "2"}, [4]),
    ({"_page": "9", "_pagesize": "2"}, []), ({"_page": "0", "_pagesize": "0"}, [])])
def test_a_page_is_a_slice(query, items):
    assert wire.page([0, 1, 2, 3, 4], query, first_page=0) == items


@pytest.mark.parametrize("query", [{"_page": "-1"}, {"_page": "x"}, {"_pagesize": "1.5"}, {"_page": ""}, {"_page": "1\n"}, {"_pagesize": "9" * 10}])
def test_a_page_that_is_no_number_is_refused(query):
    with pytest.raises(Invalid):
        wire.page([], query, first_page=0)


def test_pages_may_count_from_one():
    assert wire.page([0, 1, 2], {"_page": "1", "_pagesize": "2"}, first_page=1) == [0, 1]
    with pytest.raises(Invalid, match="begins at 1"):
        wire.page([], {"_page": "0", "_pagesize": "2"}, first_page=1)
