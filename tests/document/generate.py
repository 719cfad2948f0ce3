"""Random configuration files by grammar: every feature of facts.md section 1, the odd corners more often than life has them.

Called by tools/fuzz, which compares our reading with Asterisk's, and by the tests of this folder. A case is a dict {path: bytes} with a
`main.conf`; the same seed gives the same case. It deliberately also makes inputs that would kill Asterisk: who feeds a real one asks
the model first (`Configuration.load(…).rejection.is_deadly`).
"""

import random

MAIN = "main.conf"
INCLUDED = ["x.inc", "y.inc", "g1.inc", "g2.inc", ".h.inc", "d/z.inc", "d/g1.inc", "s p.inc", "[q].inc", "\u00e4.inc", "{x,y}.inc"]
NAMES = ["a", "b", "c", "A", "t", "T", "general", "a b", "x", "n" * 79, "n" * 80, "n" * 100, "\u00e9", "*1", "1000", "-", "a.b"]
PIECES = [b";", b";", b"\\;", b"--", b"-", b";--", b"--;", b"\\", b"=", b"=>", b"+=", b"+", b">", b"[", b"]", b"(", b")", b"!", b",",
          b"#", b"&", b'"', b"'", b" ", b"  ", b"\t", b"\r", b"\x01", b"\x1f", b"\x0b", b"\x7f", b"\xa0", b"\xc3\xa9", b"\xe9", b"a", b"b",
          b"x", b"1", b"2", b"include", b"TEMPLATES"]
PATTERNS = [
    b"*.inc", b"g?.inc", b"g[12].inc", b"{x,y}.inc", b"{y,x,x}.inc", b"d/*.inc", b"*/z.inc", b"./x.inc", b"nope.inc", b"nope*", b"d",
    b"\\x.inc", b"[[]q].inc", b"\\[q\\].inc", b"?.inc", b"d/../x.inc", b"{x.inc,d/z.inc}", b"{x", b"g{1,2,3}.inc", b".*.inc", b"*",
    b"[!g]*.inc", b"[^.]*.inc", b"{d/,}g1.inc", b"d//z.inc", b"\\{x,y\\}.inc", b"x.inc/", b"d/", b"*.inc/", b"*//z.inc",
    b"{d//z,{x,y}}.inc", b"[x-z].inc", b"[[:alpha:]].inc", b"x\\.inc", b"g1.{inc,}", b"~", b"../x.inc",
]
KINDS = ["tame", "tame", "comments", "inherit", "filters", "joins", "includes", "lengths", "wild"]


class Generator:
    """Given a seed, the maker of one case."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.kind = self.random.choice(KINDS)
        self.sloppy = self.random.random() < 0.2  # whether lines that reject the file are made on purpose
        self.defined = []  # names of categories so far
        self.included = []

    def case(self):
        """Return {path: bytes}."""
        if self.kind in ("includes", "wild") or self.chance(0.1):
            self.included = self.random.sample(INCLUDED, self.random.randint(1, 5))
        files = {MAIN: self.file(self.random.choice([3, 6, 10, 20]), is_main=True)}
        for name in self.included:
            files[name] = self.file(self.random.choice([1, 2, 4, 7]), is_main=False)
        return files

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, *choices):
        return self.random.choice(choices)

    def file(self, length, *, is_main):
        mark = b"\xef\xbb\xbf" if self.chance(0.04) else b""
        lines = [self.header(plain=True)] if is_main and not self.chance(0.05) else []
        lines += [self.line() for _ in range(length)]
        end = self.pick(b"\n", b"\n", b"\n", b"\r\n")
        text = b"".join(line + (end if not self.chance(0.03) else self.pick(b"\n", b"\r\n", b"\r", b"\n\n")) for line in lines)
        return mark * (2 if self.chance(0.1) else 1) + (text.rstrip(b"\r\n") if self.chance(0.15) else text)

    def line(self):
        weights = {"assignment": 10, "header": 5, "comment": 2, "blank": 1, "block": 0.7, "junk": 0.4 if self.sloppy else 0.1,
                   "include": 0.3, "join": 0.5, "long": 0.02}
        weights.update({
            "comments": {"comment": 6, "block": 6}, "inherit": {"header": 9}, "filters": {"header": 9}, "joins": {"join": 10},
            "includes": {"include": 5}, "lengths": {"long": 2}, "wild": {"junk": 8}, "tame": {},
        }[self.kind])
        kind = self.random.choices(list(weights), list(weights.values()))[0]
        line = getattr(self, kind)()
        if self.chance(0.08):
            line = self.blanks() + line
        if self.chance(0.12):
            line += self.pick(b";", b" ; ", b" ;-- x", b" ;- ", b"\t;--- ", b" ;-- q --;", b" \\; ") + self.words(0, 2)
        if self.chance(0.004):
            line = line[:self.random.randint(0, len(line))] + b"\0" + line[self.random.randint(0, len(line)):]
        return line

    # ---- parts --------------------------------------------------------------------------------------------------------------------

    def name(self):
        name = self.random.choice(NAMES if self.chance(0.2) else NAMES[:7])
        return name.encode()

    def words(self, low, high):
        return b"".join(self.random.choice(PIECES) for _ in range(self.random.randint(low, high)))

    def blanks(self):
        return b"".join(self.pick(b" ", b" ", b"\t", b"\x0b", b"\x01") for _ in range(self.random.randint(1, 3)))

    def value(self):
        if self.chance(0.6):
            return self.pick(b"", b"1", b"2", b"aor", b"endpoint", b"x", b"X", b"a,b|c", b"1234,Ada Lovelace,a@x")
        return self.words(0, 5)

    # ---- lines --------------------------------------------------------------------------------------------------------------------

    def assignment(self):
        name = self.pick(b"a", b"b", b"B", b"type", b"c d", b"x") if self.chance(0.85) else self.words(1, 3)
        if self.chance(0.04):
            name = b"\\" + name
        operator = self.pick(b"=", b"=", b" = ", b"=>", b" => ", b"= ", b" =", b"\t=\t", b"= >")
        return name + operator + self.value()

    def join(self):
        return self.pick(b"a", b"b", b"B", b"type", b"x", b"") + self.pick(b"+=", b"+= ", b" +=", b"+=>", b" +=  ", b"+ =") + self.value()

    def header(self, plain=False):
        name = self.random.choice(self.defined) if self.defined and self.chance(0.4) else self.name()
        line = b"[" + name + b"]"
        if not plain and not self.chance(0.3):
            options = [self.option(name) for _ in range(self.pick(1, 1, 1, 2, 2, 3))]
            line += (b" " if self.chance(0.03) else b"") + b"(" + b",".join(options) + b")"
            line += self.pick(b" junk", b"(a)", b"x=1") if self.chance(0.04) else b""
        self.defined.append(name)
        return line

    def option(self, name):
        if self.kind == "filters" and self.chance(0.6):
            return b"+" + self.filter()
        if self.sloppy and self.chance(0.05):
            return self.pick(b"", b" a", b" !", b"+ ", b"nope", b"((a", self.words(0, 2))
        if name not in self.defined or self.chance(0.4):
            known = self.random.choice(self.defined) if self.defined else b"!"
            return self.pick(b"!", known, known, known.swapcase(), self.name() if self.chance(0.2) else known)
        return self.pick(b"+", b"+", b"+TEMPLATES=include")

    def filter(self):
        def side():
            return self.pick(b"type", b"a", b"b", b"aor", b"^a", b"x$", b".", b".*", b"[ab]", b"[^x]", b"[[:alpha:]]", b"a|b", b"'a'",
                             b'"x"',
                             b"1+", b"a*", b"\xc3\xa9", b"(a", b"a?", b"[", b"", b"a{1,2}", b" a ", b"'a&b'")

        def condition():
            if self.chance(0.15):
                return self.pick(b"TEMPLATES=include", b"TEMPLATES=restrict", b"TEMPLATES=INCLUDE", b"templates=include", b"TEMPLATES=x")
            return side() + self.pick(b"=", b"=", b"=", b" = ", b"", b"==") + side() + (b"=" + side() if self.chance(0.05) else b"")
        return b"&".join(condition() for _ in range(self.pick(1, 1, 1, 2, 2, 3))) + (b"&" if self.chance(0.04) else b"")

    def comment(self):
        return self.pick(b";", b"; x", b";;", b"; a=1", b";---", b";--- x", b"; ;-- x", b";- -", b"\\; x=1", b";\\;") + self.words(0, 2)

    def block(self):
        return self.pick(b";--", b"--;", b";-- x", b"x --;", b";-- x --;", b"--; a=1", b"a=1 ;-- x", b"a=1 ;-- x --; 2", b"--;--",
                         b"--;--;",
                         b";--;", b";-- --;", b"--; [b]", b"[b] ;--", b";-- --; ;-- x --; b=1", b"------;---", b"b=x--;", self.words(1, 6))

    def include(self):
        word = self.pick(b"#include ", b"#include ", b"#tryinclude ", b"#tryinclude ", b"#INCLUDE\t", b"#TryInclude ", b"#exec ")
        if self.sloppy and self.chance(0.1):
            word = self.pick(b"#include", b"# include ", b"#foo ", b"#include\xc3", b"#include\x01", b"#")
        if self.included and self.chance(0.6):
            return word + self.random.choice(self.included).encode()
        names = [name.encode() for name in INCLUDED + [MAIN]] + PATTERNS
        name = self.random.choice(names)
        return word + self.pick(b"%s", b"%s", b'"%s"', b"<%s>", b"'%s'", b'"%s', b"%s\t") % name

    def blank(self):
        return self.pick(b"", b"", b" ", b"\t", b"\x0b\x0c", b"\r")

    def junk(self):
        return self.words(1, 8)

    def long(self):
        length = self.pick(8188, 8189, 8190, 8191, 8192, 9000, 16382, 16383)
        start, end = self.pick((b"b=", b""), (b";", b""), (b"b=1 ;", b""), (b"", b";--"), (b"", b"--;"), (b";--", b""), (b"b=\0", b""))
        return start + b"x" * (length - len(start) - len(end)) + end


def case(seed):
    """Given a seed, return {path: bytes}."""
    return Generator(seed).case()
