"""web.py: nothing lies outside the one question who calls, whatever the path, the method or the header looks like."""

import base64
import hashlib
import json
import logging

import pytest

from agent import web
from agent.dialects.wire import Kind

ROUTES = [(dialect.prefix + route.path.replace("{id}", "1"), route.method) for dialect, routes in web.discover().values() for route in routes]


def basic(text):
    return "Basic " + base64.b64encode(text).decode()


BAD_CREDENTIALS = [
    None, "", "Basic", "Basic ", "Basic !!!", basic(b"ada"), basic(b":"), basic(b":s3cret"), basic(b"ada:"), basic(b"ada:wrong"), basic(b"ada:s3cret\x00"),
    basic(b"ada\x00:s3cret"), basic(b"x" * 10_000), "Bearer s3cret", "Digest username=ada", "Digest", basic(b"ada:s3cret") + ", " + basic(b"ada:wrong"),
    "Negotiate abc", basic(b"eve:s3cret"), basic(b"ADA:s3cret"),
]


@pytest.fixture
def lan(box):
    box.write("voicemail.conf", b"[default]\n100 => 1234\n")
    from_htpasswd = "ada:{SHA}" + base64.b64encode(hashlib.sha1(b"s3cret").digest()).decode()
    box.settings.access.users.write_text(from_htpasswd + "\n")
    return lambda method, path, **headers: box.request(method, path, b"{}" if method in ("POST", "PUT") else None, over="tls", headers=headers)


@pytest.mark.parametrize("path, method", ROUTES)
@pytest.mark.parametrize("credentials", BAD_CREDENTIALS)
def test_no_route_answers_without_the_right_credentials(box, lan, path, method, credentials):
    reply = lan(method, path, Authorization=credentials)
    assert reply.status_int in (401, 429), reply
    assert b"1234" not in reply.body


@pytest.mark.parametrize("path, method", ROUTES)
def test_each_route_answers_with_them(lan, path, method):
    assert lan(method, path, Authorization=basic(b"ada:s3cret")).status_int not in (401, 403, 404 if "1" not in path.rpartition("/")[2] else 0, 500)


@pytest.mark.parametrize("path", ["/1.0/users", "/1.0/nothing", "/1.0/../1.0/users", "/1.0//users", "/1.0/users/%2e%2e/voicemails", "/1.0/users;x", "/1.0/users/1/2",
                                  "/1.0", "/1.0/", "/agent/1.0/status/", "/1.0/users%2f1"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND"])
def test_no_path_and_no_method_is_an_exception(lan, path, method):
    reply = lan(method, path)
    assert reply.status_int in (401, 404) and (reply.body == b"" or b"Unauthenticated" in reply.body), reply
    assert reply.status_int == 401 or not path.startswith(("/1.0/", "/agent/1.0/")) or path == "/1.0/../1.0/users"


@pytest.mark.parametrize("path", ["/1.0/voicemails/1%0a", "/1.0/voicemails/1%00", "/1.0/voicemails/1%ff", "/1.0/voicemails/%d9%a1", "/1.0/voicemails/1%0d%0aX: y",
                                  "/1.0/voicemails/+1", "/1.0/voicemails/01", "/1.0/voicemails/0001/", "/1.0/voicemails/1e0", "/1.0/voicemails/-1", "/1.0/voicemails/0x1", "/1.0/voicemails/1%20",
                                  "/1.0/voicemails/" + "9" * 16, "/1.0/voicemails//1", "/1.0x/voicemails/1", "/", "/1"])
def test_a_path_that_only_looks_like_one_is_not_found(box, path):
    box.write("voicemail.conf", b"[default]\n100 => 1234\n")
    assert box.request("GET", "/1.0/voicemails/1").status_int == 200
    assert box.request("GET", path).status_int == 404


def test_each_refusal_is_one_line_in_the_log(box, lan, caplog):
    box.change_settings("access", users_rights=("confd.users.read",))
    with caplog.at_level(logging.INFO, "pbx_agent.access"):
        lan("GET", "/1.0/voicemails", Authorization=basic(b"ada:s3cret"))
        box.request("GET", "/1.0/users", headers={"Origin": "http://evil.example"})
        box.request("GET", "/1.0/users", headers={"Host": "evil.example"})
    lines = [each.getMessage() for each in caplog.records if "refused" in each.getMessage()]
    assert [line.split("reason=")[1].split()[0] for line in lines] == ["right", "origin", "host"]
    assert lines[0] == 'refused address=192.0.2.7 user="ada" reason=right path=/1.0/voicemails'


def test_a_right_that_an_account_lacks_is_403(box, lan):
    box.change_settings("access", users_rights=("confd.voicemails.read", "confd.users.#"))
    account = basic(b"ada:s3cret")
    assert lan("GET", "/1.0/voicemails", Authorization=account).status_int == 200
    assert lan("GET", "/1.0/voicemails/1", Authorization=account).status_int == 403
    assert lan("DELETE", "/1.0/users/9", Authorization=account).status_int == 404


def test_an_unknown_host_or_two_of_them_never_reach_a_location(box):
    for host in ("evil.example", "localhost@evil.example", "localhost:50050/x", "127.0.0.1:1:2", "[::1", "a b", "localhost,evil", "[:::::]", "[::::]:5", "[1.2]"):
        assert box.request("GET", "/1.0/users", headers={"Host": host}).status_int in (400, 403), host
    for host in ("127.0.0.1", "localhost:1", "[::1]:50050", "LOCALHOST"):
        assert box.request("GET", "/1.0/users", headers={"Host": host}).status_int == 200, host


@pytest.mark.parametrize("query", ["&".join("a=1" for _ in range(5000)), "%", "%zz=1", "=", "&&&&", "a=%ff", "_page=1&_page=%00", "\x7f"])
def test_no_query_breaks_anything(box, query):
    assert box.request("GET", f"/1.0/users?{query}").status_int in (200, 400), query


@pytest.mark.parametrize("value", ["\\ud800", "\\udc00x", "a\\u2028b", "\\u0000", "a\\u0085", "\\r", "[x]", "#include y", "; --;", "\\\\;", "a=>b", "x" * 9000])
@pytest.mark.parametrize("field", ["fullname", "password", "email", "mailbox"])
def test_whatever_is_sent_one_line_stays_one_line(box, field, value):
    """Every answer is 200 or 400; after it the file has as many lines, and mailboxes, as before, and at most the one line differs."""
    before = b"[default]\n100 => 1234,Ada\n101 => 1\n"
    box.write("voicemail.conf", before)
    reply = box.request("PUT", "/1.0/voicemails/1", f'{{"{field}": "{value}"}}'.encode())
    after = box.files()["voicemail.conf"]
    assert reply.status_int in (200, 400) and (after == before) == (reply.status_int == 400), reply
    assert len(after.split(b"\n")) == len(before.split(b"\n")) and after.split(b"\n")[2:] == before.split(b"\n")[2:]
    assert len(box.request("GET", "/1.0/voicemails").json["items"]) == 2


def test_latin_1_of_old_files_is_shown_as_text_and_survives_a_change(box):
    box.write("voicemail.conf", b"[default]\n100 => 1,J\xe9r\xf4me\n")
    shown = box.request("GET", "/1.0/voicemails/1")
    assert shown.json["fullname"] == "J\xe9r\xf4me" and b"udc" not in shown.body
    assert box.request("PUT", "/1.0/voicemails/1", json.dumps({**shown.json, "password": "2"}).encode()).status_int == 200
    assert box.files()["voicemail.conf"] == b"[default]\n100 => 2,J\xe9r\xf4me\n"


@pytest.mark.parametrize("body", [b'{"voicemailid": %s}' % (b"9" * 5000), b'{"voicemailid": 1e400}', b'{"enableclient": -0.0}', b'{"firstname": true}', b'{"firstname": {"a": []}}',
                                  b'{"firstname": ["x"]}', b'{"\\ud800": 1}', b'{"": 1}', b'{"description": "\\ud800"}', b'{"userfield": "\\u0000"}'])
def test_odd_values_are_a_clear_400(box, body):
    box.request("POST", "/1.0/users", b'{"firstname": "Ada"}')
    reply = box.request("PUT", "/1.0/users/1", body)
    assert reply.status_int == 400 and isinstance(reply.json, list) and reply.json, reply


def test_a_bug_is_a_500_with_an_id_and_says_nothing_else(box, monkeypatch, caplog):
    box.start()
    monkeypatch.setattr(box.agent.apply, "_fresh", lambda kind: 1 / 0)
    with caplog.at_level(logging.ERROR):
        reply = box.request("GET", "/1.0/users")
    assert reply.status_int == 500 and "ZeroDivision" not in reply.text and "division" not in reply.text
    assert reply.headers["X-Request-Id"] in reply.text and reply.headers["X-Request-Id"] in caplog.text


def test_loopback_can_be_narrowed_to_root_or_to_passwords(box):
    for loopback, status in (("trusted", 200), ("password", 401), ("root", 401)):       # this "client" has no socket, so nobody owns it
        box.change_settings("access", loopback=loopback)
        box.restart()
        assert box.request("GET", "/1.0/users").status_int == status, loopback


def test_passwords_of_mailboxes_and_accounts_are_in_no_log(box, lan, caplog):
    with caplog.at_level(logging.DEBUG):
        lan("POST", "/1.0/users", Authorization=basic(b"ada:s3cret"))
        lan("GET", "/1.0/users", Authorization=basic(b"ada:canary1"))
        box.request("PUT", "/1.0/voicemails/1", b'{"password": "987654"}')
        box.asterisk.script("refuses", "no")
        box.request("PUT", "/1.0/voicemails/1", b'{"password": "876543"}')
    assert not [secret for secret in ("s3cret", "canary1", "987654", "876543", "YWRh") if secret in caplog.text]


def test_kinds_are_all_served():
    assert {route.kind for _, routes in web.discover().values() for route in routes} == set(Kind)
