"""Flags as Asterisk spells them; called by resources and by the other interpretations.

The same on 16.28.0 and 22.10.1: 30 spellings each as a queue member's ringinuse, where a text that is neither falls back to the
queue's own and is logged. Nothing is trimmed here, as the two trim nothing. Source: main/utils.c ast_true, ast_false.
"""

_TRUE = frozenset({"yes", "true", "y", "t", "1", "on"})
_FALSE = frozenset({"no", "false", "n", "f", "0", "off"})


def is_true(text):
    """Return whether Asterisk takes the text for true; one that isn't there (None) it doesn't."""
    return _folded(text) in _TRUE


def is_false(text):
    """Return whether Asterisk takes the text for false; a text can be neither true nor false, and mostly means the default then."""
    return _folded(text) in _FALSE


def _folded(text):
    """ASCII case only: `ſ` must not become an `s`."""
    return text.lower() if text and text.isascii() else ""
