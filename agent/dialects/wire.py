"""What every dialect is made of: Route, Request, Reply, Dialect, and the types of fields on the wire; the only importer of marshmallow.

`web` reads the declarations and does the work. A field's type says what is taken and what is shown; what may be *stored* is the
resource's to say. Patterns match whole strings and ASCII digits only.
"""

import functools
import json
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Callable, Mapping

import marshmallow

from agent import errors
from agent.errors import Invalid


class Kind(Enum):
    """What a route's function is handed beside the request: just that, and nothing else."""

    READ = "a snapshot"
    EDIT = "the open edit"
    STATUS = "the state of the agent"


@dataclass(frozen=True)
class Route:
    """One method on one path. `path` holds `{id}` for a whole number; `right` is in Wazo's ACL language, and required."""

    method: str
    path: str
    kind: Kind
    right: str
    function: Callable
    schema: type | None = None

    def __post_init__(self):
        if not re.fullmatch(r"[a-z_]+(\.([a-z_]+|\{[a-z]+\}))+", self.right or ""):
            raise ValueError(f"route {self.method} {self.path} names no right")


@dataclass(frozen=True)
class Request:
    """What a function sees of a request: `path` parameters, `query` (last value of each), `body` (dict or None), `base` URL, `options`."""

    path: Mapping = field(default_factory=dict)
    query: Mapping = field(default_factory=dict)
    body: Mapping | None = None
    base: str = ""
    accept: str | None = None
    content_type: str | None = None
    options: object = None
    may: Callable = lambda right: True      # whether the caller has another right too, for what a call does beside its own


@dataclass(frozen=True)
class Reply:
    """What a function answers: `body` any plain object, or None for an empty one."""

    body: object = None
    status: int = 200
    headers: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Dialect:
    """One wire format.

    prefix: the path all its routes begin with. options: the section of the settings its functions get as request.options.
    negotiate: (method, Request) -> a status to refuse with, or None. encode: object -> bytes.
    problem: (Fault, schema or None) -> Reply, the error in the dialect's own form. statuses: error family -> status, the nearest base wins.
    """

    prefix: str
    options: str
    content_type: str
    negotiate: Callable
    encode: Callable
    problem: Callable
    statuses: Mapping

    def status(self, fault):
        """Return the status of an error: that of the nearest of its families. Raise KeyError for none (a guard test holds this)."""
        return next(self.statuses[family] for family in type(fault).__mro__ if family in self.statuses)


#: error family -> status, as the RFCs have it; a dialect says where it differs
STATUSES = {
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
}


class Unparsable(Invalid):
    """A body that isn't what it should be, before any field of it is looked at."""


class Unfit(Invalid):
    """Invalid, with the fields named as the sender named them."""


# ---- bodies ---------------------------------------------------------------------------------------------------------------------------

def parse_object(data):
    """Given the bytes of a request, return the JSON object in them: a dict, in the sender's order.

    Raises: Unparsable for what isn't JSON in UTF-8, isn't an object, names something twice, or holds NaN or an infinity.
    """
    try:
        body = json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Unparsable("the body is no JSON object") from error
    if not isinstance(body, dict):
        raise Unparsable("the body is no JSON object")
    return body


def _once(pairs):
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name occurs twice")
    return names


def _no_constant(name):
    raise ValueError(f"{name} is not JSON")


def page(items, query, *, first_page):
    """Return the slice that `_page` and `_pagesize` ask for; all of them unless both are given. Raise Invalid."""
    numbers = {}
    for name in ("_page", "_pagesize"):
        if name in query and not re.fullmatch("[0-9]{1,9}", query[name]):
            raise Unfit(fields={name: "must be a whole number"})
        numbers[name] = int(query.get(name, 0))
    if numbers["_page"] < first_page:
        raise Unfit(fields={"_page": f"begins at {first_page}"})
    if not {"_page", "_pagesize"} <= set(query):
        return items
    start = (numbers["_page"] - first_page) * numbers["_pagesize"]
    return items[start:start + numbers["_pagesize"]]


def covers_json(accept):
    """Given an Accept header, return whether it takes application/json with a q above 0. Source: RFC 9110 §12.5.1."""
    best = (-1, 0.0)
    for each in accept.split(","):
        media, *parameters = (part.strip().lower() for part in each.split(";"))
        specificity = {"*/*": 0, "application/*": 1, "application/json": 2}.get(media)
        if specificity is not None:
            best = max(best, (specificity, _quality(parameters)))
    return best[1] > 0


def _quality(parameters):
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            return float(value) if re.fullmatch(r"\s*(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", value) else 0.0
    return 1.0


# ---- fields ---------------------------------------------------------------------------------------------------------------------------

class Object(marshmallow.Schema):
    """One object on the wire: each attribute a field; `attribute=` is the resource's name where the wire's differs.

    ALIASES = {other name: name} are taken and shown beside the name itself. READ_ONLY names are taken where they change nothing.
    """

    ALIASES: Mapping = {}
    READ_ONLY: frozenset = frozenset()

    @classmethod
    @functools.cache
    def declared(cls):
        """Return the schema, made once: marshmallow copies every field for each that is made."""
        return cls()

    @classmethod
    def show(cls, thing):
        """Given a resource's dict, return the wire's."""
        shown = cls.declared().dump(thing)
        return {**shown, **{alias: shown[name] for alias, name in cls.ALIASES.items()}}

    @classmethod
    def take(cls, body, *, current=None):
        """Given a body, return a dict in the resource's names. Raise Unfit with every unknown name or unfit value, in the body's order.

        current: the thing as it is, or its READ_ONLY fields alone, for a change: of a name and its alias that both come, the one that
        differs from it is meant, and what is READ_ONLY must be as it is. For a new thing READ_ONLY names are passed over.
        """
        fields, wrong = cls.declared().fields, {}
        values = {}
        for name, value in body.items():
            declared = fields.get(cls.ALIASES.get(name, name))
            if declared is None:
                wrong[name] = ""
                continue
            is_fixed, target = declared.name in cls.READ_ONLY, declared.attribute or declared.name
            if is_fixed and current is None:
                continue
            try:
                value = declared.deserialize(value)
            except marshmallow.ValidationError as error:
                wrong[name] = error.messages[0]
                continue
            if is_fixed and value != current[target]:
                wrong[name] = "can't be changed"
            elif not is_fixed and not (target in values and (current or {}).get(target) == value):
                values[target] = value
        if wrong:
            raise Unfit(fields=wrong)
        return values

    @classmethod
    def wire_name(cls, name):
        """Return the wire's name of a resource's field."""
        return next((each.name for each in cls.declared().fields.values() if (each.attribute or each.name) == name), name)


class Text(marshmallow.fields.Field):
    """A string; null is the empty string."""

    def deserialize(self, value, *_, **__):
        if value is not None and not isinstance(value, str):
            raise marshmallow.ValidationError("must be a string")
        return value or ""

    def _serialize(self, value, *_, **__):
        return value


class Flag(marshmallow.fields.Field):
    """Yes or no, shown as 1 or 0 (typed clients of 2013), taken as 0, 1, true, false, "0" or "1"."""

    def deserialize(self, value, *_, **__):
        if isinstance(value, (bool, int, str)) and str(value).lower() in ("0", "1", "true", "false"):
            return str(value).lower() in ("1", "true")
        raise marshmallow.ValidationError("must be 0 or 1")

    def _serialize(self, value, *_, **__):
        return int(value)


class Number(marshmallow.fields.Field):
    """A whole number from 0, shown as a JSON number, taken as that or as digits; null, "" and 0 are none."""

    def deserialize(self, value, *_, **__):
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, (int, str)) or not re.fullmatch("[0-9]{1,15}", str(value)):
            raise marshmallow.ValidationError("must be a whole number")
        return int(value) or None

    def _serialize(self, value, *_, **__):
        return value
