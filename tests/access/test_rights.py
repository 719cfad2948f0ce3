"""Wazo's ACL language, by the answers of Wazo's own matcher."""

import json
import time
from pathlib import Path

import pytest

from agent.access.rights import Rights, route_segment

CASES = json.loads((Path(__file__).parent.parent / "corpus" / "wazo_acl_cases.json").read_text())
ME = "11111111-1111-4111-8111-111111111111"
SESSION = "22222222-2222-4222-8222-222222222222"
OWN = {"me": ME, "my_session": SESSION}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['acl']} {case['scope']}")
def test_every_answer_is_that_of_wazos_own_matcher(case):
    rights = Rights(case["acl"])
    assert rights.allow(case["scope"], **OWN) is case["allowed"]
    if case["may_add"] is not None:
        assert rights.may_add(case["scope"], **OWN) is case["may_add"]
        assert rights.may_remove(case["scope"], **OWN) is case["may_remove"]


def test_the_corpus_is_the_whole_one():
    assert len(CASES) == 45
    assert {case["allowed"] for case in CASES} == {True, False}


def test_a_line_end_never_slips_through():
    for right in ("confd.users.read\n", "\nconfd.users.read", "confd.\r.read"):
        assert not Rights(["#", "confd.users.read"]).allow(right)


def test_me_and_my_session_stand_only_for_the_callers_own():
    assert Rights(["auth.sessions.my_session.delete"]).allow(f"auth.sessions.{SESSION}.delete", **OWN)
    assert not Rights(["auth.sessions.my_session.delete"]).allow(f"auth.sessions.{ME}.delete", **OWN)
    assert not Rights(["confd.users.me.read"]).allow(f"confd.users.{ME}.read")
    assert not Rights(["confd.users.me.read"]).allow("confd.users..read", me="")


def test_me_is_a_whole_segment_or_nothing():
    for pattern in ("confd.users.me*.read", "confd.users.mex.read"):
        assert not Rights([pattern]).allow(f"confd.users.{ME}.read", **OWN)


def test_a_callers_own_id_is_no_pattern():
    assert not Rights(["confd.users.me.read"]).allow("confd.users.anybody.read", me="*")
    assert not Rights(["confd.users.me.read"]).allow("confd.users.a.b.read", me="#")


def test_edit_means_update_too_but_not_the_reverse():
    assert Rights(["auth.policies.7.edit"]).allow("auth.policies.7.update")
    assert not Rights(["auth.policies.7.update"]).allow("auth.policies.7.edit")


def test_a_refusal_wins_wherever_it_stands():
    for patterns in (["!a.b", "#"], ["#", "!a.b"], ["a.b", "!a.*"]):
        assert not Rights(patterns).allow("a.b")


def test_a_refusal_allows_nothing_not_even_its_own_letters():
    assert not Rights(["!a.b"]).allow("!a.b") and not Rights(["!#"]).allow("!x")


def test_a_dot_in_a_path_parameter_makes_no_segment():
    assert Rights(["confd.users.*.read"]).allow(f"confd.users.{route_segment('ada.lovelace')}.read")


def test_a_malicious_pattern_costs_no_time():
    rights = Rights(["#a" * 100 + "#b", "*a" * 100 + "b", "#*" * 100 + "b"])
    began = time.perf_counter()
    assert not rights.allow("a" * 300)
    assert time.perf_counter() - began < 2
