"""From dialect folders to one WSGI application: prefix, request id, caller, right, negotiation, body, and errors in the dialect's form.

The only importer of bottle. Called by `server` with each request. The order is fixed: the address was checked at accept; then who, then
right, then negotiation, then work. It deliberately decides nothing about the content: that is the dialects' and the resources'.
"""

import importlib
import logging
import pkgutil
import re
import secrets
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

import bottle

import agent.dialects
from agent.access.accounts import refused_line
from agent.access.rights import Rights
from agent.dialects import wire
from agent.errors import Fault, Forbidden, Internal, Invalid, Outdated, Unauthenticated

log = logging.getLogger("pbx_agent.web")
access_log = logging.getLogger("pbx_agent.access")      # one line for each refusal, in the form of accounts.py

NAMES = re.compile(r"\{([a-z]+)\}")
AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


def discover():
    """Return {dialect name: (DIALECT, list of Route)} of every folder in dialects/, sorted. Raise what a module's import raises."""
    found = {}
    for folder in sorted(each.name for each in pkgutil.iter_modules(agent.dialects.__path__) if each.ispkg):
        package = importlib.import_module(f"agent.dialects.{folder}")
        modules = sorted(each.name for each in pkgutil.iter_modules(package.__path__))
        found[folder] = package.DIALECT, [route for name in modules for route in importlib.import_module(f"{package.__name__}.{name}").ROUTES]
    return found


@dataclass(frozen=True)
class Core:
    """What the routes' kinds are served with: read(function), write(function, title=, who=) and status(), and the settings by section."""

    read: object
    write: object
    status: object
    options: object


class Web:
    """The WSGI application."""

    def __init__(self, core, gate):
        """core: Core. gate: Gate."""
        self._prefixes = [(dialect.prefix, _Routes(dialect, name, routes, core, gate)) for name, (dialect, routes) in discover().items()]
        self._prefixes.sort(key=lambda each: len(each[0]), reverse=True)

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        environ["pbx_agent.request"] = secrets.token_hex(8)
        for prefix, routes in self._prefixes:
            if (path == prefix or path.startswith(prefix + "/")) and path.isascii() and path.isprintable():
                environ["PATH_INFO"] = path[len(prefix):]
                environ["SCRIPT_NAME"] = prefix
                return routes(environ, start_response)
        start_response("404 Not Found", [("Content-Length", "0")])
        return [b""]


class _Routes(bottle.Bottle):
    """One dialect's routes, and its own form for what bottle itself would answer (404, 405)."""

    def __init__(self, dialect, name, routes, core, gate):
        super().__init__()
        self.config["catchall"] = False     # what isn't a Fault is caught in _serve, with its request id
        self._dialect, self._name, self._core, self._gate = dialect, name, core, gate
        self._options = dialect.options and getattr(core.options, dialect.options)
        self.add_hook("before_request", self._identify)
        for route in routes:
            path = NAMES.sub(r"<\1:re:(?:0|[1-9][0-9]{0,14})>", route.path)      # one spelling of a number, or a right could be walked around
            for each in (path, path + "/"):     # both slash forms, every method, no redirect: a POST isn't replayed after a 301
                self.route(each, method=route.method, callback=self._serve(route))

    def default_error_handler(self, error):
        """Answer what bottle itself refuses, an unknown path or method: with an empty body, which every dialect has for these."""
        bottle.response.content_type = self._dialect.content_type
        return ""

    def _identify(self):
        """Find out who calls before any route is looked for, so that nothing at all lies outside; bottle calls this first."""
        environ = bottle.request.environ
        try:
            environ["pbx_agent.caller"] = self._gate.caller(environ)
        except Fault as fault:
            raise self._respond(self._problem(fault, None)) from fault

    def _serve(self, route):
        def serve(**path):
            try:
                reply = self._answer(route, path)
            except Fault as fault:
                reply = self._problem(fault, route.schema)
            except Exception:       # the process' edge: a bug becomes one 500 with an id to find it by, and never a dead thread
                request_id = bottle.request.environ["pbx_agent.request"]
                log.exception("internal error, request %s: %s %s", request_id, route.method, route.path)
                reply = self._dialect.problem(Internal(f"internal error; the log has more under request {request_id}"), route.schema)
            return self._respond(reply)
        return serve

    def _answer(self, route, path):
        environ = bottle.request.environ
        caller = environ["pbx_agent.caller"]
        right = NAMES.sub(lambda match: path[match[1]], route.right)
        if not Rights(caller.rights).allow(right):
            access_log.warning("%s", refused_line(caller.address, "right", user=caller.name, path=_uri(environ)))
            raise Forbidden(f"{caller.name} has no right {right}")
        request = replace(_request(environ, path, self._options, self._dialect.prefix), may=Rights(caller.rights).allow)
        refused = self._dialect.negotiate(route.method, request)
        if refused:
            return wire.Reply(None, refused)
        return self._run(route, request, caller)

    def _run(self, route, request, caller):
        if route.kind is wire.Kind.READ:
            return self._core.read(lambda view: route.function(view, request))
        if route.kind is wire.Kind.STATUS:
            return route.function(self._core.status(), request)
        unknown = [name for name in request.query if name.startswith("_")]
        if unknown:     # never answer 200 to a dry run, or to a promise to go back, that this version doesn't know
            raise wire.Unfit(fields={name: "isn't known to this version" for name in unknown})
        if bottle.request.environ.get("HTTP_IF_MATCH", "*") != "*":     # RFC 9110 §13.1.1: we give no tags yet, so none can match
            raise Outdated("no version of it has that tag")
        if route.method in ("POST", "PUT", "PATCH"):
            request = replace(request, body=wire.parse_object(bottle.request.environ["wsgi.input"].read()))
        who = {"name": caller.name, "address": caller.address, "how": caller.how, "dialect": self._name}
        outcome = self._core.write(lambda edit: route.function(edit, request), title=f"{route.method} {self._dialect.prefix}{bottle.request.path}", who=who)
        log.info("write %s %s by %s from %s: record %s", route.method, bottle.request.path, caller.name, caller.address, outcome.record)
        return _marked_pending(outcome) if outcome.pending else outcome.value

    def _problem(self, fault, schema):
        reply = self._dialect.problem(fault, schema)
        headers = dict(reply.headers)
        if isinstance(fault, Unauthenticated) and fault.challenges:
            headers["WWW-Authenticate"] = fault.challenges
        if hasattr(fault, "retry_after_s"):
            headers["Retry-After"] = str(max(1, round(fault.retry_after_s)))
        return wire.Reply(reply.body, reply.status, headers)

    def _respond(self, reply):
        body = b"" if reply.body is None else self._dialect.encode(reply.body)
        response = bottle.HTTPResponse(body, reply.status)
        response.content_type = self._dialect.content_type
        for name, values in reply.headers.items():
            for value in [values] if isinstance(values, str) else values:
                response.add_header(name, value)
        for name, value in (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("X-Request-Id", bottle.request.environ["pbx_agent.request"])):
            response.add_header(name, value)
        return response


def _request(environ, path, options, prefix):
    try:
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise Invalid("there are too many parameters in the query") from error
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    if not AUTHORITY.fullmatch(host):
        raise Invalid("the Host header isn't HOST or HOST:PORT")
    return wire.Request(
        path={name: int(value) for name, value in path.items()}, query=query, base=f"{environ['wsgi.url_scheme']}://{host}{prefix}",
        accept=environ.get("HTTP_ACCEPT"), content_type=environ.get("CONTENT_TYPE"), options=options)


def _marked_pending(outcome):
    """RFC 9111 took the Warning header out of caching, but its form is what clients know: code, agent, quoted text."""
    headers = {**outcome.value.headers, "Warning": '199 pbx-agent "Asterisk is away; it will be told when it is back"'}
    return wire.Reply(outcome.value.body, outcome.value.status, headers)


class Gate:
    """Who calls: the trusted loopback port, or an account; and whether a web page of another origin is behind it."""

    def __init__(self, accounts, *, loopback, own_names, peer_is_root):
        """accounts: access.accounts.Accounts. loopback: "trusted", "root" or "password". peer_is_root: (environ) -> bool."""
        self._accounts, self._loopback, self._own_names, self._peer_is_root = accounts, loopback, own_names, peer_is_root

    def caller(self, environ):
        """Return the Caller. Raise Unauthenticated, Throttled, or Forbidden for a foreign page."""
        if _foreign_page(environ):
            access_log.warning("%s", refused_line(environ["REMOTE_ADDR"], "origin", path=_uri(environ)))
            raise Forbidden("a web page of another origin may not call this")
        address = environ["REMOTE_ADDR"]
        if self._trusted(environ):
            return self._accounts.trusted(address)
        return self._accounts.authenticate(authorization=environ.get("HTTP_AUTHORIZATION"), method=environ["REQUEST_METHOD"],
                                           uri=_uri(environ), address=address)

    def _trusted(self, environ):
        """The plain port on loopback needs no password (the seed), unless a proxy or a rebound name is between."""
        listener = environ["pbx_agent.listener"]
        if self._loopback == "password" or listener["tls"] or not listener["loopback"] or listener["proxied"]:
            return False
        if "HTTP_HOST" in environ and not self._own(environ["HTTP_HOST"]):      # a browser always sends one; a script of 1996 may not
            access_log.warning("%s", refused_line(environ["REMOTE_ADDR"], "host", path=_uri(environ)))
            raise Forbidden("the Host header names another machine")
        return self._loopback == "trusted" or self._peer_is_root(environ)

    def _own(self, host):
        try:
            name = urlsplit(f"//{host}").hostname if AUTHORITY.fullmatch(host) else None
        except ValueError:      # brackets around what is no address
            return False
        return name is not None and name.lower() in self._own_names


def _foreign_page(environ):
    origin = environ.get("HTTP_ORIGIN")
    if environ.get("HTTP_SEC_FETCH_SITE", "none") in ("cross-site", "same-site"):
        return True
    return origin is not None and origin != f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"


def _uri(environ):
    query = environ.get("QUERY_STRING", "")
    return environ.get("REQUEST_URI") or environ["SCRIPT_NAME"] + environ["PATH_INFO"] + (f"?{query}" if query else "")
