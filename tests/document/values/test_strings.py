"""strings.py: numbers as C reads them."""

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.document.values.strings import atoi, number

LIBRARY = ctypes.CDLL(None)


@given(st.text("0123456789+- \t\vx", max_size=25))
def test_atoi_is_the_c_librarys(text):
    assert atoi(text) == LIBRARY.atoi(text.encode())


@given(st.text("0123456789+- \t\vx", max_size=45))
def test_a_number_is_what_sscanf_reads(text):
    found = ctypes.c_int(-7)
    count = LIBRARY.sscanf(text.encode(), b"%30d", ctypes.byref(found))
    assert number(text, 30) == (found.value if count == 1 else None)


@pytest.mark.parametrize("text, value",
                         [("4294967297", 1), ("99999999999999999999", -1), ("2147483648", -2147483648), ("٣", None), ("1_0", 1),
                          ("0x3", 0)])
def test_corners(text, value):
    assert number(text) == value
