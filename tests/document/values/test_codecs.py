"""codecs.py: allow and disallow; that Asterisk reads them so is proved in tests/appliance/test_real_values.py."""

import pytest

from agent.document.values import CODECS, CODECS_16, CodecList, effective_codecs
from agent.errors import Invalid


@pytest.mark.parametrize("variables, names", [
    ([], ()),
    ([("allow", "ulaw, ALAW|g722")], ("ulaw", "alaw", "g722")),
    ([("disallow", "all"), ("allow", "ulaw"), ("allow", "alaw")], ("ulaw", "alaw")),
    ([("allow", "!all,ulaw,alaw:20")], ("ulaw", "alaw")),
    ([("allow", "all")], CODECS),
    ([("allow", "ulaw"), ("allow", "alaw"), ("disallow", "ulaw"), ("allow", "ulaw")], ("alaw", "ulaw")),
    ([("allow", "gsm,all,!ulaw")], ("gsm", *(name for name in CODECS if name not in ("gsm", "ulaw")))),
    ([("disallow", "!ulaw")], ("ulaw",)),
    ([("allow", "ulaw"), ("allow", "(alaw|gsm)")], ("alaw", "gsm")),
    ([("allow", "ulaw"), ("disallow", "(alaw)")], ("ulaw", *(name for name in CODECS if name not in ("ulaw", "alaw")))),
    ([("allow", "none")], ("none",)),
    ([("disallow", "")], ()),
    ([("context", "all"), ("Allow", "ulaw")], ("ulaw",)),
])
def test_the_variables_give_one_list(variables, names):
    assert effective_codecs(variables).names == names and effective_codecs(variables).problems == ()


def test_all_is_what_that_asterisk_knows():
    assert effective_codecs([("allow", "all")], CODECS_16).names == CODECS_16 and set(CODECS_16) - set(CODECS) == {"testlaw"}
    assert effective_codecs([("allow", "mine,all")], ("mine",)).names == ("mine",)


def test_packet_lengths_stay_with_the_first():
    assert effective_codecs([("allow", "alaw:20,ulaw:30x,gsm:"), ("allow", "alaw:40")]).codecs == (("alaw", 20), ("ulaw", 30), ("gsm", 0))


@pytest.mark.parametrize("value", ["", "ulaw,", "alaw:x", "alaw:-1"])
def test_what_no_asterisk_takes_is_a_problem_of_the_list(value):
    assert CodecList.parse(value).problem and not CodecList.parse(value).understood and effective_codecs([("allow", value)]).problems


@pytest.mark.parametrize("value", ["nope", "alaw:20:30", "! ulaw", "!!ulaw", "ulaw :20"])
def test_a_codec_nobody_knows_is_a_problem_of_the_whole(value):
    assert CodecList.parse(value).understood and effective_codecs([("allow", f"{value},gsm")]) == ((("gsm", 0),),
                                                                                                   effective_codecs([("allow",
                                                                                                                      value)]).problems)


def test_entries_are_changed_in_place():
    line = CodecList.parse("ulaw ,!alaw:20| gsm")
    assert str(line.with_piece(2, "g722")) == "ulaw ,!alaw:20| g722" and str(line.without_piece(1)) == "ulaw | gsm"
    assert str(CodecList.parse("(ulaw|alaw)").adding("gsm")) == "(ulaw|alaw,gsm)"
    assert str(CodecList.parse("(ulaw|alaw)").without_piece(0)) == "(alaw)"
    assert str(CodecList.parse("(ulaw|alaw)").with_piece(1, "gsm")) == "(ulaw|gsm)"
    with pytest.raises(Invalid):
        line.with_piece(0, "a|b")
