"""flags.py: true, false, or neither."""

import pytest

from agent.document.values import is_false, is_true


@pytest.mark.parametrize("text", ["yes", "true", "y", "t", "1", "on", "YES", "oN", "True"])
def test_true_in_any_case(text):
    assert is_true(text) is True and is_false(text) is False


@pytest.mark.parametrize("text", ["no", "false", "n", "f", "0", "off", "NO", "oFf", "False"])
def test_false_in_any_case(text):
    assert is_false(text) is True and is_true(text) is False


@pytest.mark.parametrize("text", ["", None, " yes", "yes\n", "2", "00", "ye", "enabled", "ye\u017f", "o\ufb00"])
def test_neither(text):
    assert is_true(text) is False and is_false(text) is False
