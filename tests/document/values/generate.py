"""Random values, near to what people write and with every corner in it: for tests/appliance/test_real_values.py."""

import random

_APPLICATIONS = ["NoOp", "NoOp()", "NoOp(a)", "Dial(PJSIP/100,30,t)", "NoOp(a)b)c", "NoOp (x) y", "NoOp(x", "  NoOp(x) ", "", "${X}NoOp(y)",
                 "$[1+1](z)", "Set(A=${B},C)", 'NoOp(a,"b",\\,c)', "NoOp(${A})", ")(", "NoOp)x(y", "(x)", "NoOp((a)(b))", "Goto(a,1)"]
_HINTS = ["Custom:a", "Custom:a&Custom:b", "Custom:a,CustomPresence:p", "Custom:a,b,c", "Custom:a(x)", ",CustomPresence:p"]
_PRIORITIES = ["1", "2", "3", "n", "n", "n", "n", "next", "s", "same", "hint", "0", "-1", "1x", " 5 ", "n ", "N", "lab", "lab", "other",
               "", "+1",
               "07", "4294967297", "99999999999999999999", "x", "0x3", "1 2"]
_PLUSES = ["", "", "", "", "", "+1", "+2", "+10", "+x", "+", "+1+2", "+-1", "+ 3"]
_LABELS = ["", "", "", "", "(lab)", "(other)", "()", "(a b)", "(lab)x", "(lab)+3", "(lab", "(a)(b)", " (lab)"]
_EXTENSIONS = ["100", "100", "100", "101", "1-00", " 100", "1 0 0", "100/555", "100/555", "100/5-5.5.", "100/", "_1XX", "_1xx",
               "_[1 -5,6]X", "_[1-5]X-Y",
               "10\\,1", "", "i", "s", "t", "#", "*97", "_X.", "a[b,c]d", "a]b[c,d]", "100/(55)", "\\1", "1\t2", "/555", "1[0-0]0",
               "1/2/3", "ä", "1" * 253 + "/234",
               "ä" * 140]


def _some(generator, choices):
    return generator.choice(choices)


def context(seed, lines=6):
    """Return [(name, value), …] of one context; with patterns or with labels as priorities, since a pattern gives its labels to others."""
    draw = random.Random(f"context {seed}")
    without = draw.choice(["_", "lab"])
    extensions = [each for each in _EXTENSIONS if not each.startswith(without)]
    priorities = [each for each in _PRIORITIES if without == "_" or each in ("n ", "N", "", "+1") or each[:1] not in "lox"]
    made = []
    for _ in range(lines):
        tail = _some(draw, priorities) + _some(draw, _PLUSES) + _some(draw, _LABELS)
        if draw.random() < 0.93:
            tail += "," + _some(draw, _HINTS if "hint" in tail else _APPLICATIONS)
        if draw.random() < 0.45:
            made.append((_some(draw, ["same", "same", "same", "SAME", "sameish"]), tail))
        else:
            made.append((_some(draw, ["exten", "exten", "Exten"]), f"{_some(draw, extensions)},{tail}" if draw.random() < 0.97 else "100"))
    return made


_INTERFACES = ["PJSIP/{}", "PJSIP/{}", "Local/{}@a/n", '"PJSIP/{}"', "PJSIP/{} ", "P(J,{})", "P[{},", "PJSIP\\,{}", "PJSIP/{}" + "x" * 90]
_PENALTIES = ["", "0", "5", " 7 ", "-3", "x", "5x", "007", "3000000000", '"5"', "+4", "4294967298", "\\6"]
_NAMES = ["", "Ada", " Ada L ", '"Lovelace, Ada"', "A\\,B", "a(b,c)", "[x,y]", "a)b", '"a', "n" * 90, '""', "  ", 'Q"u"ote', "ä" * 45,
          "\\\\", "a;b"]
_STATES = ["", "Custom:x", " Custom:y ", "hint:1@a", '"Custom:z"']
_FLAGS = ["", "yes", "no", "YES", "off", "on", "t", "f", "T", "n", "y", "0", "1", "2", "true", "false", "False", " yes", "no ", '"yes"',
          "\\no", "maybe", "truE",
          "tru", "yes.", "ja", "enable", "-1", "00", "10"]
_WRAPUPS = ["", "0", "9", " 8 ", "-2", "x", '"4"', "7z"]


def member(seed, number):
    """Return one value of `member`, its interface made distinct by the number."""
    draw = random.Random(f"member {seed} {number}")
    fields = [_some(draw, each) for each in (_INTERFACES, _PENALTIES, _NAMES, _STATES, _FLAGS, _WRAPUPS, _FLAGS, ["", "rest", " r,est"])]
    return ",".join(fields[:draw.randint(1, 8)]).replace("{}", str(number))


_ADDRESSES = ["10.0.0.0", "10.1.2.3", "127.0.0.1", "127.0.0.5", "127.0.0.0", "0.0.0.0", "192.168.7.255", "255.255.255.255", "10.1", "256",
              "0x7f.1", "010.1.1.1",
              "1.2.3.4.5", "1.2.3", "1.2.3.256", "localhost", "", " 10.0.0.1", "10.0.0.1 ", "1.2.3.4:80", "::1", "::", "[::1]", "[::1]x",
              "[::1]:5", "[::1",
              "2001:db8::1", "2001:DB8::ffff", "::ffff:10.1.2.3", "::10.1.2.3", "fe80::1%1", "2001:db8:::1", "1::2::3", "12345::",
              "[10.1.2.3]", "1.2.3.4.", "4294967295",
              "4294967296", "08.1.1.1", "1..2", "0x", "x", "10.0.0.0x", "!10.0.0.1"]
_MASKS = ["", "", "", "/8", "/24", "/32", "/0", "/33", "/64", "/128", "/129", "/-1", "/", "/x", "/24x", "/ 16", "/+8", "/255.255.0.0",
          "/255.0.255.0", "/0.0.0.0",
          "/255.255", "/ffff::", "/ffff:ffff::", "/::", "/::ffff:255.255.0.0", "/8/9", "/4294967304", "/255.255.0.0 ", "/0x10"]
_SENSES = ["permit", "deny", "Permit", "DENY"]


def access_list(seed, entries=3):
    """Return [(name, value), …] of one list; half of them have only entries that are likely to be taken."""
    draw = random.Random(f"access {seed}")
    plain = draw.random() < 0.5
    addresses, masks = (_ADDRESSES[:12], ["", "/8", "/24", "/32", "/0", "/255.255.0.0", "/255.0.255.0"]) if plain else (_ADDRESSES, _MASKS)
    made = []
    for _ in range(draw.randint(1, entries)):
        texts = [draw.choice(["", "", "", "!"]) + _some(draw, addresses) + _some(draw, masks) for _ in range(draw.choice([1, 1, 1, 2, 3]))]
        made.append((_some(draw, _SENSES), ("," if plain or draw.random() < 0.8 else ", ").join(texts)))
    return made


_CODECS = ["ulaw", "alaw", "g722", "opus", "h264", "gsm", "slin16", "t140", "testlaw", "all", "all", "ULAW", "Alaw", "none", "silk8",
           "g729"]
_ODD_CODECS = ["", "silk", "nope", "! ulaw", "!!ulaw", "ulaw :20", "alaw:x", "alaw:-1", "alaw:20:30", "alaw: 20", "(ulaw", "ulaw)"]
_FRAMINGS = ["", "", "", "", ":20", ":30x", ":", ":0"]


def codec_lists(seed):
    """Return [(name, value), …] of one endpoint; three quarters of them have only entries that are likely to be taken."""
    draw = random.Random(f"codecs {seed}")
    plain = draw.random() < 0.75
    made = []
    for _ in range(draw.randint(1, 4)):
        entries = [
            draw.choice(["", "", "!"]) + _some(draw, _CODECS if plain or draw.random() < 0.7 else _ODD_CODECS) + _some(draw, _FRAMINGS)
            for _ in range(draw.randint(1, 4))]
        value = draw.choice([",", ",", "|", ", "]).join(entries)
        made.append((draw.choice(["allow", "allow", "disallow", "Allow"]), f"({value})" if draw.random() < 0.1 else value))
    return made
