"""XiVO 1.0 (2013): users and voicemails under /1.0; declared as data for `web`.

The seed document rules; where it and the real servers and clients part, the contract's table 2.3 decided, and its row stands beside the line.
Deliberately not here: the 1.1 resources, and 1.0's call centre. Beyond the seed's list of statuses: 401 and 403 (who calls), 409 (somebody
else is editing, or the line stands in a template), 413 and 429 (limits), 503 (not now), 507 (the disk is full).
"""

import json

from agent import errors
from agent.dialects import wire

FIRST_PAGE = 0      # row 15: the seed's formula, `_page` times `_pagesize`


def negotiate(method, request):
    """Return 406 or 415 for a request that doesn't say what the seed asks for (rows 11, 12), else None."""
    if method == "GET" and request.accept is None:
        return 406 if request.options.missing_accept == "refuse" else None
    if method == "GET" and not wire.covers_json(request.accept):
        return 406
    if method in ("POST", "PUT") and (request.content_type or "").split(";")[0].strip().lower() != "application/json":
        return 415
    return None


def encode(thing):
    """Return one line of JSON, ASCII only, as the 1.0 server wrote it."""
    return json.dumps(thing).encode("ascii")


def problem(fault, schema):
    """Return an error as the seed has it: a JSON list of messages, or an empty body for 404 and what has no words there."""
    status = DIALECT.status(fault)
    if status in (401, 403, 404, 413, 429):
        return wire.Reply(None, status)
    fields = getattr(fault, "fields", {})
    if schema and not isinstance(fault, wire.Unfit):
        fields = {schema.wire_name(name): reason for name, reason in fields.items()}
    messages = ["No parsable data in the request"] if isinstance(fault, wire.Unparsable) else [str(fault)]
    if fields:
        messages = ["Incorrect parameters sent: " + ", ".join(fields), *(f"{name} {reason}" for name, reason in fields.items() if reason)]
    return wire.Reply([*messages, *getattr(fault, "reasons", ())], status)


DIALECT = wire.Dialect(
    prefix="/1.0",
    options="xivo",
    content_type="application/json;charset=UTF-8",      # row 13
    negotiate=negotiate,
    encode=encode,
    problem=problem,
    statuses={
        **wire.STATUSES,
        errors.Exists: 400,         # row 20
        errors.InUse: 412,          # row 17
        errors.Rejected: 500,       # the seed: "an error occurred on the server side", with the list of messages
    },
)


def listed(items, request):
    """Return the list envelope: `total` is the full count even of a page (row 9)."""
    return wire.Reply({"total": len(items), "items": wire.page(items, request.query, first_page=FIRST_PAGE)})
