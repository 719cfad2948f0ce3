"""pbx-agent's own resources under /agent/1.0: what no other product had; declared as data for `web`."""

import json

from agent import errors
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
    statuses={
        errors.NotFound: 404,
        errors.Invalid: 400,
        errors.TooLarge: 413,
        errors.Conflict: 409,
        errors.Outdated: 412,
        errors.Unauthenticated: 401,
        errors.Throttled: 429,
        errors.Forbidden: 403,
        errors.Rejected: 422,
        errors.Unavailable: 503,
        errors.NoSpace: 507,
        errors.Damaged: 500,
        errors.Internal: 500,
    },
)
