"""Bytes of one file into lines, as Asterisk's reader (main/config.c) cuts and understands them: facts.md 1.1 to 1.3, rule by rule.

Called by document.py for whole files and by edits.py for the lines it writes. It deliberately doesn't know what lines mean to each
other (inherit.py) or which files are included (includes.py), and it never refuses: what isn't understood becomes `Unparsed`.
"""

from io import BytesIO

from .lines import (
    KILLS, REJECTS, WARNS, WARNS_IN_CATEGORY,
    Assignment, Blank, ByteOrderMark, Comment, Directive, Header, Unparsed,
)

BLANKS = bytes(range(1, 33))  # what is trimmed; NUL never gets that far
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LINE_LIMIT = 8190  # bytes before the line feed
BUFFER = LINE_LIMIT + 1
DEEPEST_BLOCK = 128  # one more `;--` and Asterisk loops forever
# So many unmatched `--;` and then some `;--` write before an array: 51 killed 16.28.0, 87 killed 22.10.1.
SHALLOWEST_BLOCK = -40


def parse(data, *, depth=0, first=True):
    """Given the bytes of one file, return its lines and the depth of block comments at its end.

    depth: int, block comments open at its beginning (a glob carries them from file to file)
    first: bool, whether it is the first file of its include: only that one gets its byte order mark dropped
    Returns: (list of Line, int); the lines' `raw` joined are `data`
    """
    lines = []
    raws = cut(data)
    if first and data.startswith(BYTE_ORDER_MARK) and not is_too_long(raws[0]):
        lines.append(ByteOrderMark(BYTE_ORDER_MARK, depth))
        raws[0] = raws[0][len(BYTE_ORDER_MARK):]
        if not raws[0]:
            del raws[0]
    for raw in raws:
        # The plain line, nine of ten: nothing to hide, nothing hidden.
        if not depth and b";" not in raw and b"\0" not in raw and len(raw) <= LINE_LIMIT:
            lines.append(understand(raw, 0, raw.strip(BLANKS)))
        elif is_too_long(raw):
            lines.append(Unparsed(raw, depth, "the line is too long, Asterisk skips it", WARNS))
        else:
            line, depth = _commented(raw, depth)
            lines.append(line)
    return lines, depth


# ---- 1.1 line cutting -------------------------------------------------------------------------------------------------------------

def cut(data):
    """Given bytes, return the list of pieces that Asterisk reads one by one: lines, unless NUL or sheer length interfere."""
    raws = BytesIO(data).readlines()  # cuts at line feeds only
    if b"\0" in data or any(len(raw) > BUFFER for raw in raws):
        return list(_cut_by_buffer(data))
    return raws


def _cut_by_buffer(data):
    start = 0
    while start < len(data):
        stop = _end_of_read(data, start)
        if is_too_long(data[start:stop]):
            # Skipped with all the reads that follow, up to one that ends its line or holds a NUL.
            skipped, stop = stop, _end_of_read(data, stop)
            while _fills_buffer(data[skipped:stop]) and stop < len(data):
                skipped, stop = stop, _end_of_read(data, stop)
        yield data[start:stop]
        start = stop


def _end_of_read(data, start):
    line_end = data.find(b"\n", start, start + BUFFER)
    return line_end + 1 if line_end >= 0 else min(start + BUFFER, len(data))


def _fills_buffer(read):
    return len(read) == BUFFER and b"\0" not in read and not read.endswith(b"\n")


def is_too_long(raw):
    """Given a piece, tell whether Asterisk skips it: more than 8,190 bytes without line feed and NUL."""
    return len(raw) >= BUFFER and _fills_buffer(raw[:BUFFER])


# ---- 1.2 comments -----------------------------------------------------------------------------------------------------------------

def _commented(raw, depth):
    """Given a line that may hold comments or NUL, return its Line and the depth after it."""
    spans, after, fatal = live_spans(raw, depth)
    if fatal:
        return Unparsed(raw, depth, fatal, KILLS), after
    text = b"".join([raw[start:stop] for start, stop in spans]).strip(BLANKS)
    return understand(raw, depth, text), after


def live_spans(raw, depth):
    """Given a line and the depth before it, return the spans that aren't comment, the depth after it, and what would kill Asterisk.

    Returns: ([(start, stop), …], int, str | None); the spans are offsets in `raw`; an escaping backslash lies in none
    Source: the scan for `;` in config_text_file_load; the four rules of facts.md 1.2 in their order
    """
    end = raw.find(b"\0")
    end = len(raw) if end < 0 else end
    spans = []
    live_from = None if depth else 0  # where the live span being read began
    scanned = 0  # after the last marker
    at = raw.find(b";", 0, end)
    while at >= 0:
        if at > scanned and raw[at - 1] == 0x5C:  # rule 1: `\;` is data
            if live_from is not None:
                spans.append((live_from, at - 1))
                live_from = at
        elif raw[at + 1:min(at + 3, end)] == b"--" and raw[at + 3:min(at + 4, end)] != b"-":  # rule 2: `;--` opens
            if depth >= DEEPEST_BLOCK:
                return spans, depth, "the 129th nested block comment makes Asterisk loop forever"
            if depth <= SHALLOWEST_BLOCK:
                return spans, depth, "a block comment after many stray `--;` makes Asterisk crash"
            if live_from is not None:
                spans.append((live_from, at))
                live_from = None
            depth += 1
            at += 2
        elif at >= scanned + 2 and raw[at - 2:at] == b"--":  # rule 3: `--;` closes, even what was never open
            depth -= 1
            if depth == 0:
                live_from = at + 1
        elif depth == 0:  # rule 4: the rest is a comment
            end = at
        scanned = at + 1
        at = raw.find(b";", scanned, end)
    if live_from is not None:
        spans.append((live_from, end))
    return spans, depth, None


# ---- 1.3 what a line is -----------------------------------------------------------------------------------------------------------

def understand(raw, depth, text):
    """Given a line and its live text, trimmed, return the Line of the kind that its first byte decides."""
    if not text:
        return Comment(raw, depth) if b";" in raw or depth else Blank(raw, depth)
    first = text[0]
    if first == 0x5B:  # [
        return _header(raw, depth, text)
    if first == 0x23:  # #
        return _directive(raw, depth, text)
    return _assignment(raw, depth, text)


def _header(raw, depth, text):
    close = text.find(b"]")
    if close < 0:
        return Unparsed(raw, depth, "the header has no closing `]`", REJECTS)
    options = None
    if text[close + 1:close + 2] == b"(":
        end = text.find(b")", close)
        if end < 0:
            return Unparsed(raw, depth, "the header has no closing `)`", REJECTS)
        options = tuple(text[close + 2:end].split(b","))
    return Header(raw, depth, text[1:close], options)


def _directive(raw, depth, text):
    end = 1
    while end < len(text) and 32 < text[end] < 128:
        end += 1
    word, argument = text[1:end].lower(), text[end + 1:].strip(BLANKS)
    if word not in (b"include", b"tryinclude", b"exec"):
        return Unparsed(raw, depth, f"unknown directive `#{word.decode(errors='replace')}`", WARNS)
    if not argument:
        return Unparsed(raw, depth, f"directive `#{word.decode()}` needs an argument", WARNS)
    return Directive(raw, depth, word, argument)


def _assignment(raw, depth, text):
    start = 0
    if text[0] == 0x5C:  # a leading backslash forces an assignment
        if not 33 <= (text[1] if len(text) > 1 else 0) < 128:
            return Unparsed(raw, depth, "the leading backslash has nothing to escape", REJECTS)
        text = text[1:]
        start = 1
    equals = text.find(b"=", start)
    if equals < 0:
        return Unparsed(raw, depth, "there is no `=`", WARNS_IN_CATEGORY)
    if equals > start and text[equals - 1] == 0x2B:  # +
        name, value, operator = text[:equals - 1], text[equals + 1:], b"+="
    elif text[equals + 1:equals + 2] == b">":
        name, value, operator = text[:equals], text[equals + 2:].strip(BLANKS), b"=>"
    else:
        name, value, operator = text[:equals], text[equals + 1:].strip(BLANKS), b"="
    name = name.strip(BLANKS)
    if not name:
        return Unparsed(raw, depth, "there is no name before the `=`", WARNS_IN_CATEGORY)
    return Assignment(raw, depth, name, value, operator)
