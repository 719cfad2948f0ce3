"""GET /agent/1.0/status: is Asterisk there, and what does it not know yet; found by `web` through ROUTES."""

from agent.dialects.wire import Kind, Reply, Route


def get(status, request):
    return Reply(status)


ROUTES = [
    Route("GET", "/status", Kind.STATUS, "agent.status.read", get),
]
