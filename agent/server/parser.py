"""What counts as one request: waitress' parser, but strict about where a message ends, and answers of its own without a body.

Used by `channel`. Stock waitress (2.1.2 and 3.0.2 alike) takes Content-Length beside Transfer-Encoding, folded headers and HTTP/0.9; what
two readers could understand differently is a 400 here, and the connection ends. It deliberately looks at no path and no header's meaning
beyond the message's own frame.

Source: RFC 9112 2.2, 5.2, 6.1, 6.3; RFC 9110 7.2
"""

import re
from collections import Counter

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask
from waitress.utilities import BadRequest

# RFC 9112 3: request-line = method SP request-target SP HTTP-version
REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Z-]+ [\x21-\x7e]+ HTTP/(?P<version>1\.[01])")
BARE_LF = re.compile(rb"(?<!\r)\n")
ONLY_ONCE = (b"host", b"content-length", b"transfer-encoding", b"content-type", b"expect")


class Parser(HTTPRequestParser):
    """One request as it arrives; `error` says what is wrong with it."""

    def received(self, data):
        """Take bytes of the connection and return how many belong to this request."""
        if self.body_rcv is None and not self.completed and BARE_LF.search((self.header_plus + data).partition(b"\r\n\r\n")[0]):
            self.error = BadRequest("bare LF")
            self.completed = True
            return len(data)
        consumed = super().received(data)
        if self.error:
            # waitress would say "100 Continue" to a body that it has refused already.
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus):
        """Take the request line and the headers. Raise waitress' ParsingError if they aren't exactly one message's."""
        lines = header_plus.rstrip(b"\r\n").split(b"\r\n")
        request_line = REQUEST_LINE.fullmatch(lines[0])
        if not request_line:
            raise ParsingError("not an HTTP/1 request line")
        _check_fields(lines[1:], request_line["version"])
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError("the request target is no URI") from error


def _check_fields(lines, version):
    if any(line.startswith((b" ", b"\t")) for line in lines):
        raise ParsingError("folded header")
    fields = [(name.lower(), value.strip(b" \t").lower()) for name, _, value in (line.partition(b":") for line in lines)]
    counts = Counter(name for name, _ in fields)
    if any(counts[name] > 1 for name in ONLY_ONCE):
        raise ParsingError("a header that must stand once stands twice")
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings and (codings != [b"chunked"] or version == b"1.0" or counts[b"content-length"]):
        raise ParsingError("Transfer-Encoding other than a lone `chunked` of HTTP/1.1")
    if version == b"1.1" and not counts[b"host"]:
        raise ParsingError("no Host")


class BareError(ErrorTask):
    """waitress' own answers (400, 413, 431, 500), with an empty body: it knows no client's dialect."""

    def execute(self):
        self.status = f"{self.request.error.code} {self.request.error.reason}"
        self.response_headers.append(("Connection", "close"))
        self.close_on_finish = True
        self.content_length = 0
        self.write(b"")
