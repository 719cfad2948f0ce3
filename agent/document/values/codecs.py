"""Codec lists: the values of `allow` and `disallow`, one by one and as the list they give together.

Called by resources; facts.md has no word on them, this is what 16.28.0 and 22.10.1 do with an endpoint of pjsip.conf, proved by generated
lists (tests/appliance/test_real_values.py): they differ in testlaw only, which 16 has. One bad entry, an empty one too (`ulaw,`), and the
endpoint isn't loaded; entries after it are still looked at. It deliberately knows no other modules' codecs: hand them in.
Source: main/format_cap.c ast_format_cap_update_by_allow_disallow, ast_format_cap_append; main/codec_builtin.c.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .interpretation import Listed
from .strings import BLANKS, number

#: what `all` stands for on 22.10.1, in its order
CODECS = tuple(
    "amr amrwb codec2 g723 ulaw alaw gsm g726 g726aal2 adpcm slin slin12 slin16 slin24 slin32 slin44 slin48 slin96 slin192 lpc10 g729 speex"
    " speex16 speex32 ilbc g722 siren7 siren14 g719 opus jpeg png h261 h263 h263p h264 h265 mpeg4 vp8 vp9 red t140 t38 silk8 silk12 silk16"
    " silk24".split())
#: the same on 16.28.0
CODECS_16 = (*CODECS[:CODECS.index("g719")], "testlaw", *CODECS[CODECS.index("g719"):])
#: has a name, and isn't among `all`
NULL_CODEC = "none"


class Codec(NamedTuple):
    """One entry, `[!]name[:milliseconds]`.

    is_negated: `!`, which makes the one variable do what the other does
    name: as typed; Asterisk ignores its case. framing: the text after the last `:`, or None
    """

    is_negated: bool
    name: str
    framing: str | None

    @property
    def framing_ms(self):
        """Packet length in milliseconds, int; 0: the codec's own."""
        return number(self.framing, 30) or 0 if self.framing else 0

    @property
    def problem(self):
        if self.framing and (number(self.framing, 30) is None or self.framing_ms < 0):
            return f"the packet length of {self.name!r} isn't a number: {self.framing!r}"
        return None if self.name else "an entry is empty"


@dataclass(frozen=True)
class CodecList(Listed):
    """The value of one `allow` or `disallow`: entries between `,` or `|`, blanks around them dropped.

    In `(…)`, as Asterisk itself shows lists, it replaces what was there: `allow=(a|b)` first disallows all, `disallow=(a|b)` allows all.
    """

    SEPARATORS = ",|"

    @classmethod
    def parse(cls, value):
        """Given any value, return its list; never raises."""
        return cls(value)

    @property
    def is_complete(self):
        """Whether it stands in parentheses."""
        return len(self.text) > 1 and self.text[0] == "(" and self.text[-1] == ")"

    @cached_property
    def entries(self):
        """tuple of Codec, one for each of `pieces`."""
        return tuple(map(_codec, self.pieces))

    @property
    def problem(self):
        """What Asterisk wouldn't take, in words; whether a name is known only `effective_codecs` can say."""
        return next((each.problem for each in self.entries if each.problem), None)

    @cached_property
    def _piece_spans(self):
        if not self.is_complete:
            return super()._piece_spans
        return [(start + 1, stop + 1) for start, stop in CodecList(self.text[1:-1])._piece_spans]

    def adding(self, text):
        """Return the list with one more entry at its end, with the separator it has."""
        if not self.is_complete:
            return super().adding(text)
        inner = CodecList(self.text[1:-1]).adding(text)
        return CodecList(f"({inner})")


class EffectiveCodecs(NamedTuple):
    """codecs: tuple of (name, framing in ms, 0: the codec's own), best first; problems: tuple of str, none if Asterisk takes it all."""

    codecs: tuple
    problems: tuple

    @property
    def names(self):
        return tuple(name for name, _ in self.codecs)


def effective_codecs(variables, known=CODECS):
    """Given the variables of an endpoint as (name, value), in their order, return the list that its `allow` and `disallow` give together.

    known: the codecs of that Asterisk, in the order of `all`
    """
    spelled = {name.lower(): name for name in (*known, NULL_CODEC)}
    codecs, problems = {}, []
    for variable, value in variables:
        allowing = variable.lower() == "allow"
        if allowing or variable.lower() == "disallow" and value:
            _apply(CodecList(value), allowing, codecs, known, spelled, problems)
    return EffectiveCodecs(tuple(codecs.items()), tuple(problems))


def _apply(one, allowing, codecs, known, spelled, problems):
    if one.is_complete:
        _change(codecs, "all", not allowing, 0, known)
    for entry in one.entries:
        name = entry.name.lower()
        if entry.problem:
            problems.append(entry.problem)
        elif name != "all" and name not in spelled:
            problems.append(f"there is no codec {entry.name!r}")
        else:
            _change(codecs, spelled.get(name, name), allowing != entry.is_negated, entry.framing_ms, known)


def _change(codecs, name, allowing, framing_ms, known):
    """One that is there already keeps its place and its packet length."""
    if not allowing:
        for each in list(codecs) if name == "all" else [name]:
            codecs.pop(each, None)
    elif name == "all":
        for each in known:
            codecs.setdefault(each, 0)
    else:
        codecs.setdefault(name, framing_ms)


def _codec(piece):
    text = piece.strip(BLANKS)
    name = text.removeprefix("!")
    name, colon, framing = name.rpartition(":") if ":" in name else (name, "", None)
    return Codec(text.startswith("!"), name, framing)
