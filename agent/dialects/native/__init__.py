"""pbx-agent's own resources under /agent/1.0: what no other product had; declared as data for `web`."""

import json

from agent.dialects import wire


def negotiate(method, request):
    """Return 415 for a body that isn't JSON; what is answered is always JSON, whatever Accept says."""
    media = (request.content_type or "").split(";")[0].strip().lower()
    return 415 if method in ("POST", "PUT", "PATCH") and media != "application/json" else None


def encode(thing):
    return json.dumps(thing, indent=1, ensure_ascii=False).encode() + b"\n"


def problem(fault, schema):
    """Return {"error": family, "message": one sentence, "where": place or null, "fields": {name: reason}, "reasons": Asterisk's words}."""
    body = {"error": type(fault).__name__, "message": fault.message, "where": fault.where,
            "fields": getattr(fault, "fields", {}), "reasons": list(getattr(fault, "reasons", ()))}
    return wire.Reply(body, DIALECT.status(fault))


DIALECT = wire.Dialect(
    prefix="/agent/1.0",
    options=None,
    content_type="application/json",
    negotiate=negotiate,
    encode=encode,
    problem=problem,
    statuses=wire.STATUSES,
)
