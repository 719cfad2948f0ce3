"""users.ht: every format that htpasswd and openssl make, right and wrong; and nothing that they don't."""

import logging
import os
import secrets
import shutil
import subprocess
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.access import htpasswd
from agent.access.htpasswd import Passwords, parse
from agent.errors import Unavailable

CANARY = "Kanarienvogel-" + secrets.token_hex(6)
# Made once by htpasswd 2.4 for the password "secret"; so every format is tested on machines without it, too.
SECRET = {
    "apr1": "$apr1$ELSSUD8C$T78dbSfDkUZQfPNLOUFNl1",
    "sha1": "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "bcrypt": "$2y$05$T0BdI5vZFTHgJYthbVezsOPMtPGuL1Rvz2fZLcpSy3t/iRXGL1kR.",
    "sha256": "$5$63JwLVTGKacKNHav$pDAPRXv2J2E9NjqpuO5vv6pfaZnAxu.lHbz8Z7hEJP8",
    "sha512": "$6$JTnDMh1i39XBUJ4b$phx5MZ4Zu0TdfgrTn2SmCCGminYox67KvpDuzw2btIJ7IFFt14pkcI0ocp/Rf0whcd0pZHcXRzUdZfAxpZkaQ1",
    "des": "yG9bwZKu7VS0o",
}
TOOLS = {
    "apr1": ["htpasswd", "-nbm"],
    "sha1": ["htpasswd", "-nbs"],
    "bcrypt cost 5": ["htpasswd", "-nbB"],
    "bcrypt cost 10": ["htpasswd", "-nbBC", "10"],
    "sha256": ["htpasswd", "-nb2"],
    "sha256 rounds": ["htpasswd", "-nb2r", "1234"],
    "sha512": ["htpasswd", "-nb5"],
    "sha512 rounds": ["htpasswd", "-nb5r", "20000"],
    "des": ["htpasswd", "-nbd"],
}
OPENSSL = {"openssl apr1": "-apr1", "openssl sha256": "-5", "openssl sha512": "-6"}


def needs(tool):
    return pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} isn't installed: its formats are NOT tested against the real tool")


def made_by_htpasswd(flags, password):
    """Return the hash; skip for a flag that this htpasswd is too old for."""
    made = subprocess.run([*TOOLS[flags], "bob", password], capture_output=True, check=False, timeout=20)
    if made.returncode:
        pytest.skip(f"this htpasswd can't {TOOLS[flags]}: {made.stderr[:80]!r}")
    return made.stdout.strip().partition(b":")[2].decode()


def passwords(tmp_path, *lines, **more):
    path = tmp_path / "users.ht"
    path.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines))
    return Passwords(path, **more)


# ---- formats ---------------------------------------------------------------------------------------------------------------------------

@needs("htpasswd")
@pytest.mark.parametrize("flags", TOOLS)
def test_what_htpasswd_makes_lets_the_right_password_in_and_no_other(tmp_path, flags):
    known = passwords(tmp_path, "bob:" + made_by_htpasswd(flags, "S3:päß"))
    assert known.verify("bob", "S3:päß".encode())
    assert known.verify("bob", "S3:päß")
    for wrong in ("", "s3:päß", "S3", "S3:pä", "\0S3:päß", "S3:päß\0", made_by_htpasswd(flags, "S3:päß")):
        assert not known.verify("bob", wrong), wrong
    assert not known.verify("Bob", "S3:päß")


@needs("htpasswd")
@pytest.mark.parametrize("flags", [each for each in TOOLS if each != "des"])
def test_one_more_or_one_other_letter_is_wrong(tmp_path, flags):
    known = passwords(tmp_path, "bob:" + made_by_htpasswd(flags, "correct horse battery"))
    assert known.verify("bob", "correct horse battery")
    for wrong in ("correct horse batterx", "correct horse batteryx", "correct horse", "correct horse battery "):
        assert not known.verify("bob", wrong)


@needs("openssl")
@pytest.mark.parametrize("flag", OPENSSL.values(), ids=OPENSSL)
@pytest.mark.parametrize("salt", ["x", "saltsalt"])
def test_what_openssl_makes_lets_the_right_password_in_and_no_other(tmp_path, flag, salt):
    made = subprocess.run(["openssl", "passwd", flag, "-salt", salt, "S3cret"], capture_output=True, check=True,
        timeout=20).stdout.decode().strip()
    known = passwords(tmp_path, f"bob:{made}")
    assert known.verify("bob", "S3cret")
    assert not known.verify("bob", "S3cres") and not known.verify("bob", "")


@pytest.mark.parametrize("kind", SECRET)
def test_a_known_hash_of_each_format(tmp_path, kind):
    known = passwords(tmp_path, f"bob:{SECRET[kind]}")
    assert known.verify("bob", "secret")
    for wrong in ("", "Secret", "secre", "secrets", SECRET[kind]):
        assert not known.verify("bob", wrong)
    assert not known.verify("", "secret") and not known.verify("eve", "secret")


@needs("htpasswd")
@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_the_three_names_of_bcrypt_are_one(tmp_path, prefix):
    known = passwords(tmp_path, "bob:" + made_by_htpasswd("bcrypt cost 5", "S3cret").replace("$2y$", prefix))
    assert known.verify("bob", "S3cret")
    assert not known.verify("bob", "S3cres")


@needs("htpasswd")
def test_bcrypt_looks_at_72_bytes_as_httpd_does(tmp_path):
    known = passwords(tmp_path, "bob:" + made_by_htpasswd("bcrypt cost 5", "x" * 72))
    assert known.verify("bob", "x" * 72)
    assert known.verify("bob", "x" * 73) and known.verify("bob", "x" * 255)
    assert not known.verify("bob", "x" * 71) and not known.verify("bob", "x" * 71 + "y")


def test_des_looks_at_8_bytes_as_httpd_does(tmp_path):
    known = passwords(tmp_path, "bob:" + htpasswd.des_crypt.hash("12345678"))
    assert known.verify("bob", "12345678") and known.verify("bob", "123456789")
    assert not known.verify("bob", "1234567")


PLAIN = "plain-password"
NEVER = [
    "", "*", "!", "!!", "x", PLAIN, "{PLAIN}" + PLAIN, "{CLEAR}" + PLAIN, "plain", "{SHA}", "{sha}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ", "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "$apr1$", "$apr1$ELSSUD8C$", SECRET["apr1"][:-1],
    SECRET["apr1"] + ".",
    SECRET["apr1"].replace("apr1", "1"), "$2y$05$short", "$2x$05$" + "a" * 53, "$2y$31$" + "a" * 53, "$2y$03$" + "a" * 53,
    "$5$abc$" + "a" * 42, "$6$abc$" + "a" * 87, "$6$rounds=999999999$abc$" + "a" * 86, "$6$rounds=1$abc$" + "a" * 86,
    "$y$j9T$abc$" + "a" * 43,
    "$7$abc", "$argon2id$v=19$m=1,t=1,p=1$YWJj$YWJj", "a" * 12, "a" * 14, "*" * 13, "ab!" + "a" * 10, "!" + SECRET["apr1"],
]


@pytest.mark.parametrize("hashed", NEVER)
def test_an_empty_locked_plain_or_unknown_hash_lets_nobody_in(tmp_path, hashed):
    known = passwords(tmp_path, f"bob:{hashed}", "ada:" + SECRET["sha1"])
    for guess in ("", hashed, PLAIN, "secret", "*", "!"):
        assert not known.verify("bob", guess)
    assert known.verify("ada", "secret")


def test_an_unknown_form_is_refused_before_passlib_is_asked(tmp_path, monkeypatch):
    asked = []

    class Handler:
        @staticmethod
        def verify(password, hashed):
            asked.append(hashed)
            return True

    monkeypatch.setattr(htpasswd, "FORMATS", tuple((form, Handler, cut) for form, _, cut in htpasswd.FORMATS))
    known = passwords(tmp_path, *(f"user{number}:{hashed}" for number, hashed in enumerate(NEVER)))
    assert not any(known.verify(f"user{number}", PLAIN) for number in range(len(NEVER)))
    assert asked == []


@pytest.mark.filterwarnings("ignore:encountered a bcrypt")
def test_a_hash_of_the_right_form_and_a_senseless_value_lets_nobody_in(tmp_path):
    for hashed in ("$2y$05$" + "/" * 53, "$2y$04$" + "9" * 53, "$5$rounds=999999$$" + "z" * 43, "$5$rounds=0999$abc$" + "z" * 43,
        "..zzzzzzzzzzz"):
        assert not passwords(tmp_path, f"bob:{hashed}").verify("bob", "secret")


@given(st.text(max_size=80), st.binary(max_size=40))
def test_no_hash_and_no_password_make_it_raise(tmp_path_factory, hashed, password):
    path = tmp_path_factory.getbasetemp() / "any.ht"
    path.write_bytes(b"bob:" + hashed.encode("utf-8", "replace") + b"\n")
    assert Passwords(path).verify("bob", password) in (True, False)


# ---- passwords -------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stored", ["utf-8", "latin-1"])
@pytest.mark.parametrize("sent", ["utf-8", "latin-1"])
def test_a_password_may_be_utf8_or_latin1_on_either_side(tmp_path, stored, sent):
    known = passwords(tmp_path, "bob:" + htpasswd.ldap_sha1.hash("grün".encode(stored)))
    assert known.verify("bob", "grün".encode(sent))
    assert not known.verify("bob", "gruen".encode(sent)) and not known.verify("bob", "grün".encode("utf-16"))


def test_a_nul_is_wrong_before_any_hash(tmp_path, monkeypatch):
    known = passwords(tmp_path, "bob:" + SECRET["sha1"])
    monkeypatch.setattr(known, "_matches_slowly", lambda *_: pytest.fail("a hash was asked"))
    for password in ("\0", "secret\0", "se\0cret"):
        assert not known.verify("bob", password) and not known.verify("nobody", password)


@pytest.mark.parametrize("length", [255, 256, 1024, 1025, 4096, 4097, 10_000])
def test_a_long_password_is_just_wrong_for_every_format(tmp_path, length):
    for hashed in (SECRET["apr1"], SECRET["sha1"], SECRET["bcrypt"], SECRET["sha256"], SECRET["des"]):
        known = passwords(tmp_path, f"bob:{hashed}")
        assert not known.verify("bob", "x" * length) and not known.verify("nobody", "x" * length)


# ---- the file --------------------------------------------------------------------------------------------------------------------------

def test_a_missing_file_means_nobody_and_an_empty_one_too(tmp_path):
    for known in (Passwords(tmp_path / "none.ht"), passwords(tmp_path)):
        assert len(known) == 0
        assert not known.verify("bob", "secret") and not known.verify("", "")


def test_comments_blanks_crlf_and_a_third_column_are_tolerated(tmp_path):
    known = passwords(tmp_path,
        b"# users\r\n\r\n  \n#bob:{SHA}x\n  bob:" + SECRET["sha1"].encode() + b":remark:more\r\nlast:" + SECRET["sha1"].encode())
    assert known.verify("bob", "secret") and known.verify("last", "secret")
    assert not known.verify("#bob", "secret") and not known.verify("# users", "")
    assert len(known) == 2


def test_the_first_of_two_entries_counts_even_if_it_is_unusable(tmp_path, caplog):
    other = htpasswd.ldap_sha1.hash("other")
    known = passwords(tmp_path, "bob:" + SECRET["sha1"], f"bob:{other}", "eve:!", "eve:" + SECRET["sha1"])
    assert known.verify("bob", "secret") and not known.verify("bob", "other")
    assert not known.verify("eve", "secret")
    assert "users.ht:2: a second entry" in caplog.text and "users.ht:3: a hash of no known form" in caplog.text
    assert "{SHA}" not in caplog.text


def test_lines_without_a_name_or_a_colon_let_nobody_in(tmp_path):
    known = passwords(tmp_path, SECRET["sha1"], ":" + SECRET["sha1"], "bob", "eve:")
    for user in ("bob", "eve", SECRET["sha1"], "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="):
        assert not known.verify(user, "secret") and not known.verify(user, "")


def test_a_name_is_the_same_in_utf8_and_latin1(tmp_path):
    known = passwords(tmp_path, "jörg:".encode("latin-1") + SECRET["sha1"].encode() + b"\n", "zoë:" + SECRET["sha1"])
    assert known.verify("jörg", "secret") and known.verify("zoë", "secret")


def test_the_file_is_read_again_when_it_changes(tmp_path):
    known = passwords(tmp_path, "bob:" + SECRET["sha1"], settle_s=0)
    assert known.verify("bob", "secret")
    passwords(tmp_path, "bob:" + htpasswd.ldap_sha1.hash("changed"), "ada:" + SECRET["sha1"])
    assert not known.verify("bob", "secret"), "the old password, still remembered as good"
    assert known.verify("bob", "changed") and known.verify("ada", "secret")
    (tmp_path / "users.ht").unlink()
    assert not known.verify("bob", "changed")


@needs("htpasswd")
def test_a_password_changed_by_htpasswd_itself_counts_within_a_second(tmp_path):
    known = passwords(tmp_path, "bob:" + SECRET["sha1"], "ada:" + SECRET["sha1"])
    subprocess.run(["htpasswd", "-b", str(tmp_path / "users.ht"), "bob", "changed"], check=True, capture_output=True, timeout=20)
    deadline = time.monotonic() + 2
    while not known.verify("bob", "changed"):
        assert time.monotonic() < deadline
        assert known.verify("ada", "secret"), "lost an account while the file was being rewritten"
        time.sleep(0.02)
    assert not known.verify("bob", "secret")


def test_a_file_torn_by_its_writer_loses_no_account(tmp_path):
    """htpasswd copies over the original: for a moment it is empty, then half there."""
    known = passwords(tmp_path, "bob:" + SECRET["sha1"], "ada:" + SECRET["sha1"])
    with open(tmp_path / "users.ht", "r+b") as file:
        file.truncate()
        assert known.verify("ada", "secret")
        file.write(b"bob:" + SECRET["sha1"].encode()[:9])
        file.flush()
        assert known.verify("bob", "secret") and known.verify("ada", "secret")


def test_a_file_that_others_may_change_or_read_is_warned_of(tmp_path, caplog):
    path = tmp_path / "users.ht"
    path.write_text("bob:" + SECRET["sha1"] + "\n")
    for mode, warning in ((0o600, ""), (0o640, ""), (0o644, "can be read by everybody"), (0o666, "can be written by everybody")):
        path.chmod(mode)
        caplog.clear()
        Passwords(path)
        assert (warning in caplog.text) if warning else not caplog.text


def test_a_file_that_cant_be_read_refuses_the_start(tmp_path):
    (tmp_path / "users.ht").mkdir()
    with pytest.raises(Unavailable, match="users.ht"):
        Passwords(tmp_path / "users.ht")


# ---- work ------------------------------------------------------------------------------------------------------------------------------

def test_an_unknown_name_costs_the_work_of_a_known_one(tmp_path):
    cost = htpasswd.bcrypt.using(rounds=8)
    known = passwords(tmp_path, *(f"user{number}:{cost.hash('right')}" for number in range(3)))

    def once_s(user):
        began = time.thread_time()
        assert not known.verify(user, "wrong")
        return time.thread_time() - began

    # This thread's own work, in turns, and the least of each: a busy machine only ever adds to it.
    pairs = [(once_s("user1"), once_s("nobody")) for _ in range(12)]
    known_s, unknown_s = (min(times) for times in zip(*pairs))
    assert 0.7 < unknown_s / known_s < 1.4, (known_s, unknown_s)
    assert unknown_s > 0.005


def test_the_stand_in_is_of_the_most_usual_kind(tmp_path):
    one, two = htpasswd.bcrypt.using(rounds=4).hash("x"), htpasswd.bcrypt.using(rounds=5).hash("x")
    entries = parse(f"a:{SECRET['des']}\nb:{one}\nc:{two}\nd:{one}\ne:{SECRET['sha1']}\n".encode(), "users.ht")
    assert entries.stand_in == one


def test_a_stand_in_lets_nobody_in(tmp_path):
    known = passwords(tmp_path, "bob:" + SECRET["sha1"])
    for user in ("nobody", "", "BOB", "bob ", "bob\n"):
        assert not known.verify(user, "secret")


def count_hashes(known, monkeypatch):
    counted = []
    matches = htpasswd._matches
    monkeypatch.setattr(htpasswd, "_matches", lambda *arguments: counted.append(1) or matches(*arguments))
    return counted


def test_good_credentials_cost_one_hash_for_a_while(tmp_path, monkeypatch):
    class Clock:
        seconds = 0.0

        def __call__(self):
            return self.seconds

    clock = Clock()
    known = passwords(tmp_path, "bob:" + SECRET["sha1"], clock=clock)
    counted = count_hashes(known, monkeypatch)
    assert all(known.verify("bob", "secret") for _ in range(5)) and len(counted) == 1
    clock.seconds += htpasswd.GOOD_S + 1
    assert known.verify("bob", "secret") and len(counted) == 2
    assert not any(known.verify("bob", "wrong") for _ in range(3)) and len(counted) == 5


def test_what_is_remembered_is_bounded_and_no_password(tmp_path):
    hashed = htpasswd.ldap_sha1.hash(CANARY)
    known = passwords(tmp_path, *(f"user{number}:{hashed}" for number in range(htpasswd.GOOD_ENTRIES + 30)))
    for number in range(htpasswd.GOOD_ENTRIES + 30):
        assert known.verify(f"user{number}", CANARY)
    assert len(known._good._until) == htpasswd.GOOD_ENTRIES
    assert CANARY not in repr(known._good.__dict__) and CANARY.encode() not in b"".join(known._good._until)


def test_at_most_two_hashes_are_worked_on_at_once_and_the_rest_is_told_to_wait(tmp_path, monkeypatch):
    known = passwords(tmp_path, "bob:" + SECRET["sha1"])
    monkeypatch.setattr(htpasswd, "HASH_WAIT_S", 0.05)
    go_on, at_work = threading.Event(), threading.Semaphore(0)

    def slow(password, hashed):
        at_work.release()
        return go_on.wait(5)

    monkeypatch.setattr(htpasswd, "_matches", slow)
    threads = [threading.Thread(target=known.verify, args=("bob", f"guess{number}")) for number in range(2)]
    for thread in threads:
        thread.start()
    assert at_work.acquire(timeout=5) and at_work.acquire(timeout=5)
    with pytest.raises(Unavailable):
        known.verify("bob", "one more")
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert known.verify("bob", "now there is room")


# ---- silence ---------------------------------------------------------------------------------------------------------------------------

def test_no_password_and_no_hash_reaches_the_log(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        for hashed in (*SECRET.values(), *NEVER, CANARY):
            known = passwords(tmp_path, f"bob:{hashed}")
            for password in (CANARY, CANARY * 20, CANARY + "\0", f"ä{CANARY}"):
                known.verify("bob", password)
                known.verify("nobody", password)
    assert CANARY not in caplog.text
    assert "T78dbSfDkUZQfPNLOUFNl1" not in caplog.text


def test_bcrypt_warns_of_nothing(tmp_path):
    """passlib 1.7.4 with bcrypt 4 (Debian 13) logs a traceback at the first hash if nobody stops it."""
    path = tmp_path / "users.ht"
    path.write_text(f"bob:{SECRET['bcrypt']}\n")
    path.chmod(0o600)
    code = ("import logging; logging.basicConfig(); from agent.access.htpasswd import Passwords; "
            f"Passwords({str(path)!r}).verify('bob', 'x')")
    run = subprocess.run([os.sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=True, timeout=30)
    assert run.stderr == b"" and run.stdout == b""
