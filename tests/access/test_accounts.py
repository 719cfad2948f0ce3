"""Who is calling: a Caller, or a refusal with its challenges and its one log line."""

import base64
import hashlib
import logging
import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.access import htpasswd
from agent.access.accounts import Accounts, Caller, refused_line
from agent.access.digest import NONCE_S, Digest
from agent.access.htpasswd import Passwords
from agent.access.throttle import PAIR_FREE, Throttle
from agent.errors import Throttled, Unauthenticated, Unavailable

CANARY = "Kanarienvogel-" + secrets.token_hex(6)
URI = "/1.0/users/?token=do-not-log"


class Clock:
    seconds = 1_000_000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users.ht"
    path.write_text("".join(f"{user}:{htpasswd.ldap_sha1.hash(CANARY)}\n" for user in ("bob", "jörg")))
    path.chmod(0o600)
    return path


@pytest.fixture
def digests(tmp_path):
    path = tmp_path / "users.digest"
    path.write_text("bob:XivoRealm:" + hashlib.md5(f"bob:XivoRealm:{CANARY}".encode()).hexdigest() + "\n")
    return path


@pytest.fixture
def accounts(users, digests, clock):
    return Accounts(Passwords(users), Digest(digests, now=clock), Throttle(clock=clock), users_rights=("confd.#",))


def basic(user, password):
    pair = user + b":" + password if isinstance(user, bytes) else f"{user}:{password}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def digest_answer(challenge, password=CANARY, user="bob", nc="00000001"):
    nonce = re.search('nonce="([^"]+)"', challenge)[1]
    md5 = lambda text: hashlib.md5(text.encode()).hexdigest()       # noqa: E731
    response = md5(f"{md5(f'{user}:XivoRealm:{password}')}:{nonce}:{nc}:c:auth:{md5(f'GET:{URI}')}")
    return (f'Digest username="{user}", realm="XivoRealm", nonce="{nonce}", uri="{URI}", response="{response}", '
            f'qop=auth, nc={nc}, cnonce="c"')


def ask(accounts, authorization, address="192.0.2.1"):
    return accounts.authenticate(authorization=authorization, method="GET", uri=URI, address=address)


def refused(accounts, authorization, address="192.0.2.1"):
    with pytest.raises(Unauthenticated) as caught:
        ask(accounts, authorization, address)
    return caught.value


def test_basic_lets_an_account_in_with_the_rights_of_users(accounts):
    assert ask(accounts, basic("bob", CANARY)) == Caller("bob", "192.0.2.1", "basic", ("confd.#",))


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
def test_the_scheme_may_be_in_any_case(accounts, scheme):
    assert ask(accounts, basic("bob", CANARY).replace("Basic", scheme)).name == "bob"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_name_may_come_in_utf8_or_latin1(accounts, encoding):
    assert ask(accounts, basic("jörg".encode(encoding), CANARY.encode())).name == "jörg"


def test_digest_lets_an_account_in(accounts):
    challenge = refused(accounts, None).challenges[0]
    assert ask(accounts, digest_answer(challenge)) == Caller("bob", "192.0.2.1", "digest", ("confd.#",))


def test_the_loopback_ports_caller_may_do_everything(accounts):
    assert accounts.trusted("127.0.0.1") == Caller("loopback", "127.0.0.1", "loopback", ("#",))


def test_both_ways_are_offered_and_digest_first(accounts):
    challenges = refused(accounts, None).challenges
    assert [challenge.partition(" ")[0] for challenge in challenges] == ["Digest", "Basic"]
    assert challenges[1] == 'Basic realm="XivoRealm", charset="UTF-8"'


@pytest.mark.parametrize("digest", [None, Digest(None)])
def test_digest_is_offered_and_taken_only_when_configured(users, digest):
    accounts = Accounts(Passwords(users), digest, Throttle())
    assert refused(accounts, None).challenges == ['Basic realm="XivoRealm", charset="UTF-8"']
    refused(accounts, digest_answer('nonce="x"'))


MALFORMED = {
    "no credentials": None, "empty": "", "scheme alone": "Basic", "scheme and blank": "Basic ", "no base64": "Basic !!!",
    "bad padding": "Basic Ym9iOng",
    "base64 with a blank inside": "Basic Ym9i OnNlY3JldA==", "no colon": "Basic " + base64.b64encode(b"bob").decode(),
    "url-safe base64": "Basic -_-_", "empty user": basic("", CANARY), "empty both": basic("", ""),
    "NUL in the name": basic("bob\0", CANARY),
    "NUL in the password": basic("bob", CANARY + "\0"), "line end in the name": basic("bob\n", CANARY),
    "10 kB": basic("b" * 10_000, CANARY),
    "10 kB of password": basic("bob", CANARY * 500), "bearer": "Bearer " + CANARY, "token": f"Token {CANARY}",
    "negotiate": "Negotiate YII=", "non-ASCII": "Basic ä",
    "two headers": basic("bob", CANARY) + ", " + basic("bob", CANARY), "two schemes": "Digest " + basic("bob", CANARY), "comma": "Basic ,",
    "tab": basic("bob", CANARY).replace(" ", "\t"), "digest without parameters": "Digest", "digest of nothing": 'Digest username=""',
    "credentials alone": basic("bob", CANARY).partition(" ")[2], "surrogate": "Basic \udcff",
}


@pytest.mark.parametrize("header", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_header_is_nobody_and_one_log_line(accounts, header, caplog):
    caplog.set_level(logging.INFO, logger="pbx_agent.access")
    assert refused(accounts, header).challenges
    assert len(caplog.records) == 1
    assert caplog.messages[0].isascii() and "\n" not in caplog.messages[0]
    assert CANARY not in caplog.text and base64.b64encode(CANARY.encode())[4:20].decode() not in caplog.text


@pytest.mark.parametrize("junk", [" ", "!", "=", "\n", "-"])
def test_the_right_credentials_with_junk_among_them_are_malformed(accounts, junk, caplog):
    header = basic("bob", CANARY)
    refused(accounts, header[:12] + junk + header[12:])
    assert "reason=malformed" in caplog.text


@given(st.text(max_size=60))
def test_no_header_makes_it_raise_anything_but_unauthenticated(text):
    accounts = Accounts(NOBODY, None, Throttle())
    for header in (text, "Basic " + text, "Digest " + text):
        refused(accounts, header)


class Nobody:
    def verify(self, user, password):
        return False


NOBODY = Nobody()


@pytest.mark.parametrize("user, password", [("bob", "wrong"), ("bob", ""), ("nobody", CANARY), ("BOB", CANARY), ("bob ", CANARY)])
def test_wrong_credentials_get_the_same_answer_whoever_they_name(accounts, user, password, caplog):
    refusal = refused(accounts, basic(user, password))
    assert refusal.message == refused(accounts, basic("somebody", "else")).message
    assert caplog.messages[0].split()[:2] == ["refused", "address=192.0.2.1"]
    assert " reason=password " in caplog.messages[0]


def test_the_log_line_is_the_one_that_fail2ban_knows(accounts, caplog):
    refused(accounts, basic("bob", "wrong"))
    assert caplog.messages == ['refused address=192.0.2.1 user="bob" reason=password path=/1.0/users/']
    assert caplog.records[0].name == "pbx_agent.access" and caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("name", ['x" reason=password path=/', "x\naddress=10.0.0.1", "\x1b[2J", "x\u2028y", "\x7f", "\x85", 'x\\"', "ä",
    "%s%n", "\u202egnp"])
def test_no_name_and_no_path_can_forge_a_line(name):
    line = refused_line("192.0.2.1", "password", user=name, path="/" + name + "?" + CANARY)
    assert re.fullmatch(r'refused address=192\.0\.2\.1 user="(?:[^"\\\x00-\x1f\x7f-\uffff]|\\.)*" reason=password path=[!-~]+', line)
    assert CANARY not in line


def test_a_missing_header_is_no_alarm(accounts, caplog):
    caplog.set_level(logging.DEBUG, logger="pbx_agent.access")
    refused(accounts, None)
    assert caplog.records[0].levelno == logging.INFO
    assert caplog.messages == ['refused address=192.0.2.1 user="" reason=missing path=/1.0/users/']


def test_guessing_is_throttled_also_with_the_right_password(accounts, clock, caplog):
    for _ in range(PAIR_FREE):
        refused(accounts, basic("bob", "wrong"))
    with pytest.raises(Throttled) as throttled:
        ask(accounts, basic("bob", CANARY))
    assert throttled.value.retry_after_s == 1
    assert caplog.messages[-1].endswith("reason=throttled path=/1.0/users/")
    assert ask(accounts, basic("bob", CANARY), address="192.0.2.2").name == "bob"
    clock.seconds += 1
    assert ask(accounts, basic("bob", CANARY)).name == "bob"


def test_waiting_callers_arent_counted_again(accounts, clock):
    for _ in range(PAIR_FREE):
        refused(accounts, basic("bob", "wrong"))
    for _ in range(20):
        with pytest.raises(Throttled):
            ask(accounts, basic("bob", "wrong"))
    clock.seconds += 1
    assert ask(accounts, basic("bob", CANARY)).name == "bob"


def test_digest_guesses_are_throttled_too(accounts):
    challenge = refused(accounts, None).challenges[0]
    for _ in range(PAIR_FREE):
        refused(accounts, digest_answer(challenge, "wrong"))
    with pytest.raises(Throttled):
        ask(accounts, digest_answer(challenge))


def test_an_old_or_used_nonce_is_no_guess(accounts, clock, caplog):
    caplog.set_level(logging.INFO, logger="pbx_agent.access")
    challenge = refused(accounts, None).challenges[0]
    assert ask(accounts, digest_answer(challenge)).how == "digest"
    for _ in range(PAIR_FREE + 5):
        assert refused(accounts, digest_answer(challenge)).challenges[0].endswith("stale=true")
    assert "reason=replay" in caplog.messages[-1]
    clock.seconds += NONCE_S + 1
    for _ in range(PAIR_FREE + 5):
        fresh = refused(accounts, digest_answer(challenge)).challenges[0]
    assert "reason=stale" in caplog.messages[-1]
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    assert ask(accounts, digest_answer(fresh)).name == "bob"


def test_too_many_hashes_at_once_are_no_guess_either(clock, caplog):
    class Busy:
        def verify(self, user, password):
            raise Unavailable("busy")

    accounts = Accounts(Busy(), None, Throttle(clock=clock))
    for _ in range(PAIR_FREE + 2):
        with pytest.raises(Unavailable):
            ask(accounts, basic("bob", "x"))
    assert "reason=busy" in caplog.messages[-1]


def test_no_password_is_ever_logged(accounts, caplog):
    caplog.set_level(logging.DEBUG)
    for password in (CANARY, CANARY + "x", CANARY * 3):
        for user in ("bob", "nobody", CANARY[:3]):
            try:
                ask(accounts, basic(user, password))
                ask(accounts, digest_answer('nonce="x"', password, user))
            except Unauthenticated:
                pass
    assert CANARY not in caplog.text and "do-not-log" not in caplog.text


def test_an_exception_carries_no_credentials(accounts):
    for header in (basic("bob", CANARY + "x"), basic("bob", CANARY)[:-2] + "!"):
        refusal = refused(accounts, header)
        chain = [refusal, refusal.__cause__]
        assert CANARY not in "".join(repr(each) + repr(getattr(each, "__dict__", "")) for each in chain)
