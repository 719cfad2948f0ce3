"""Digest: the right answer once, and nothing else."""

import hashlib
import re
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.access.digest import MAX_NONCES, NONCE_S, WINDOW, Counters, Digest, Replayed, Stale, parse
from agent.errors import Unauthenticated

REALM = "XivoRealm"
URI = "/1.0/users/?_page=1"


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def line(user, password, realm=REALM):
    return f"{user}:{realm}:{md5(f'{user}:{realm}:{password}')}\n"


def answer(challenge, user="bob", password="secret", *, method="GET", uri=URI, nc="00000001", realm=REALM, **changed):
    """Answer a challenge as RFC 2617 says; `changed` replaces or, as None, leaves out parameters of the finished header."""
    nonce = re.search('nonce="([^"]+)"', challenge)[1]
    response = md5(f"{md5(f'{user}:{realm}:{password}')}:{nonce}:{nc}:0a4f113b:auth:{md5(f'{method}:{uri}')}")
    sent = {"username": user, "realm": realm, "nonce": nonce, "uri": uri, "response": response, "qop": "auth", "nc": nc,
        "cnonce": "0a4f113b"}
    sent.update(changed)
    bare = ("qop", "nc", "algorithm")
    return "Digest " + ", ".join(f"{name}={value}" if name in bare else f'{name}="{value}"'
                                 for name, value in sent.items() if value is not None)


class Clock:
    seconds = 1_000_000.5

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def digest(tmp_path, clock):
    path = tmp_path / "users.digest"
    path.write_text(line("bob", "secret") + line("jörg", "geheim") + line("eve", "secret", "other realm")
                    + "ada:XivoRealm:short\nnonsense\n")
    return Digest(path, now=clock)


def test_the_challenge_is_what_2013s_clients_understand(digest):
    challenge = digest.challenge()
    assert re.fullmatch(r'Digest realm="XivoRealm", nonce="[A-Za-z0-9_-]{40,64}", qop="auth", algorithm=MD5', challenge)
    assert digest.challenge(stale=True).endswith(", stale=true")
    assert len({digest.challenge() for _ in range(50)}) == 50
    parsed = urllib.request.parse_keqv_list(urllib.request.parse_http_list(challenge.partition(" ")[2]))
    assert parsed["realm"] == REALM and parsed["qop"] == "auth"


def test_the_right_answer_is_taken_and_names_the_user(digest):
    assert digest.verify(answer(digest.challenge()), "GET", URI) == "bob"


@pytest.mark.parametrize("wrong", [
    {"password": "Secret"}, {"password": ""}, {"password": "None"}, {"user": "nobody"}, {"user": ""}, {"user": "BOB"}, {"user": "eve"},
    {"user": "ada"}, {"response": "0" * 32}, {"response": ""}, {"response": None}, {"nonce": ""}, {"nonce": None}, {"cnonce": None},
    {"cnonce": "other"}, {"nc": None}, {"nc": "00000002", "response": md5("x")}, {"nc": "1"}, {"nc": "0000000g"}, {"nc": "000000001"},
    {"qop": None}, {"qop": "auth-int"}, {"qop": ""}, {"algorithm": "SHA-256"}, {"algorithm": "MD5-sess"}, {"realm": "other realm"},
    {"uri": None}, {"username": None}, {"username": "eve"},
])
def test_anything_wrong_is_refused_with_a_fresh_challenge(digest, wrong):
    with pytest.raises(Unauthenticated) as refused:
        digest.verify(answer(digest.challenge(), **wrong), "GET", URI)
    assert not isinstance(refused.value, Stale)
    assert len(refused.value.challenges) == 1 and "stale" not in refused.value.challenges[0]


@pytest.mark.parametrize("old, new", [
    ('realm="XivoRealm"', 'realm="other realm"'), ("cnonce=", 'uri="/", cnonce='), ("Digest ", 'Digest uri="/", '),
])
def test_a_parameter_that_the_hash_doesnt_cover_isnt_free_either(digest, old, new):
    header = answer(digest.challenge())
    assert digest.verify(answer(digest.challenge()), "GET", URI)
    with pytest.raises(Unauthenticated):
        digest.verify(header.replace(old, new), "GET", URI)


@pytest.mark.parametrize("qop", ["auth-int", "", "AUTH", "auth,auth-int"])
def test_another_quality_than_was_offered_is_refused_though_rightly_answered(digest, qop):
    challenge = digest.challenge()
    nonce = re.search('nonce="([^"]+)"', challenge)[1]
    response = md5(f"{md5(f'bob:{REALM}:secret')}:{nonce}:00000001:0a4f113b:{qop}:{md5(f'GET:{URI}')}")
    with pytest.raises(Unauthenticated, match="wasn't offered"):
        digest.verify(answer(challenge, response=response, qop=f'"{qop}"'), "GET", URI)


def test_the_answer_to_one_request_is_none_to_another(digest):
    for method, uri in (("POST", URI), ("GET", "/1.0/users/"), ("GET", URI + "&x"), ("GET", "/1.0/users/?_page=2"), ("GET", "/")):
        with pytest.raises(Unauthenticated):
            digest.verify(answer(digest.challenge()), method, uri)


def test_an_absolute_uri_is_the_same_request(digest):
    uri = "https://pbx.example:50051" + URI
    assert digest.verify(answer(digest.challenge(), uri=uri), "GET", URI) == "bob"
    with pytest.raises(Unauthenticated):
        digest.verify(answer(digest.challenge(), uri="https://pbx.example/other"), "GET", URI)


@pytest.mark.parametrize("algorithm", ["MD5", '"MD5"', "md5"])
def test_md5_may_be_named_in_any_way(digest, algorithm):
    assert digest.verify(answer(digest.challenge(), algorithm=algorithm), "GET", URI) == "bob"


def test_names_may_come_in_utf8_as_wsgi_shows_it(digest):
    header = answer(digest.challenge(), "jörg", "geheim").encode().decode("latin-1")
    assert digest.verify(header, "GET", URI) == "jörg"


def test_an_old_nonce_is_stale_and_only_with_the_right_password(digest, clock):
    challenge = digest.challenge()
    clock.seconds += NONCE_S + 1
    with pytest.raises(Stale) as refused:
        digest.verify(answer(challenge), "GET", URI)
    assert refused.value.challenges[0].endswith("stale=true")
    assert digest.verify(answer(refused.value.challenges[0]), "GET", URI) == "bob"
    with pytest.raises(Unauthenticated) as refused:
        digest.verify(answer(challenge, password="wrong"), "GET", URI)
    assert not isinstance(refused.value, Stale)


def test_a_nonce_of_the_future_or_of_another_process_is_stale(digest, clock, tmp_path):
    challenge = digest.challenge()
    clock.seconds -= 10
    for nonce in (challenge, Digest(tmp_path / "users.digest", now=clock).challenge(), 'nonce="dcd98b7102dd2f0e"', 'nonce="ä"',
        'nonce="===="'):
        with pytest.raises(Stale):
            digest.verify(answer(nonce).encode().decode("latin-1"), "GET", URI)


def test_a_changed_nonce_is_not_ours(digest):
    challenge = digest.challenge()
    nonce = re.search('nonce="([^"]+)"', challenge)[1]
    for place in range(0, len(nonce), 3):
        changed = nonce[:place] + ("A" if nonce[place] != "A" else "B") + nonce[place + 1:]
        with pytest.raises(Stale):
            digest.verify(answer(f'nonce="{changed}"'), "GET", URI)


def test_the_same_answer_twice_is_refused_and_the_next_counter_is_fine(digest):
    challenge = digest.challenge()
    digest.verify(answer(challenge), "GET", URI)
    with pytest.raises(Replayed):
        digest.verify(answer(challenge), "GET", URI)
    assert digest.verify(answer(challenge, nc="00000002"), "GET", URI) == "bob"


def test_counters_may_come_a_little_out_of_order_but_each_once():
    counters = Counters()
    assert [counters.take("n", 1, count) for count in (1, 3, 2, 3, 1, 2, 4)] == [True, True, True, False, False, False, True]
    assert counters.take("n", 1, 4 + WINDOW)
    assert not counters.take("n", 1, 4)
    assert counters.take("n", 1, 5)
    assert not counters.take("n", 1, 0xFFFFFFFF - 1) or counters.take("n", 1, 0xFFFFFFFF)


def test_a_counter_of_zero_is_none():
    assert not Counters().take("n", 1, 0)


@given(st.lists(st.integers(1, 200), max_size=120))
def test_no_counter_is_ever_taken_twice(counts):
    counters = Counters()
    taken = [count for count in counts if counters.take("n", 1, count)]
    assert len(taken) == len(set(taken))


def test_forgetting_a_nonce_never_lets_it_in_again(digest, clock):
    first = digest.challenge()
    digest.verify(answer(first), "GET", URI)
    for _ in range(MAX_NONCES):
        digest._counters.take(digest.challenge(), int(clock.seconds), 1)
    with pytest.raises(Stale):
        digest.verify(answer(first), "GET", URI)
    assert len(digest._counters._spent) == MAX_NONCES


def test_guesses_fill_no_memory(digest):
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            digest.verify(answer(digest.challenge(), password="wrong"), "GET", URI)
    assert not digest._counters._spent


@pytest.mark.parametrize("header", [
    "", "Digest", "Digest ", "Basic Ym9iOnNlY3JldA==", "Digest username", "Digest username=", 'Digest username="bob', "Digest =x",
    'Digest username="bob" realm="x"',
    'Digest username="bob", username="eve"', 'Digest username="bob", Digest username="eve"', "Digest " + "x" * 10_000,
    'Digest username="' + "\\" * 10_001,
    "Digest " + ",".join(f"a{number}=1" for number in range(2000)), "Digest \0=\0", "digest ,,,,",
])
def test_a_malformed_header_is_refused_and_quickly(digest, header):
    with pytest.raises(Unauthenticated):
        digest.verify(header, "GET", URI)


@given(st.text(max_size=200))
def test_no_header_makes_it_raise_anything_else(text):
    try:
        parse("Digest " + text)
    except Unauthenticated:
        pass


def test_quoted_pairs_and_blanks_are_read_as_the_rfc_says():
    sent = parse('DIGEST  username = "b\\"o\\\\b" ,realm="r, x=y",nonce="n",uri="/",response="r",'
                 'qop=auth,nc=00000001,cnonce="c",  opaque=""')
    assert sent["username"] == 'b"o\\b' and sent["realm"] == "r, x=y" and sent["opaque"] == ""


def test_the_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "users.digest"
    digest = Digest(path, settle_s=0)
    assert digest.configured and len(digest) == 0
    path.write_text(line("bob", "secret"))
    assert digest.verify(answer(digest.challenge()), "GET", URI) == "bob"
    path.write_text(line("bob", "changed"))
    with pytest.raises(Unauthenticated):
        digest.verify(answer(digest.challenge()), "GET", URI)


def test_without_a_file_it_isnt_configured_and_lets_nobody_in():
    digest = Digest(None)
    assert not digest.configured
    with pytest.raises(Unauthenticated):
        digest.verify(answer(digest.challenge()), "GET", URI)
