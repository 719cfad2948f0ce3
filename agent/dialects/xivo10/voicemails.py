"""Voicemails of XiVO 1.0: field names, and the five calls of the seed; found by `web` through ROUTES."""

from agent.dialects import xivo10
from agent.dialects.wire import Flag, Kind, Number, Object, Reply, Route, Text
from agent.errors import Invalid
from agent.resources import voicemails


class Voicemail(Object):
    """Shown with `id` and `uniqueid`, the same number: the seed has one in its examples, the other in its properties (row 2)."""

    id = Number()
    mailbox = Text()
    fullname = Text()
    password = Text()
    email = Text()
    attach = Flag()
    skipcheckpass = Flag()
    deleteaftersend = Flag(attribute="delete")

    ALIASES = {"uniqueid": "id"}
    READ_ONLY = frozenset({"id"})


def find(view, request):
    return xivo10.listed([Voicemail.show(each) for each in voicemails.find(view)], request)


def get(view, request):
    return Reply(Voicemail.show(voicemails.get(view, request.path["id"])))


def create(edit, request):
    values = Voicemail.take(_without_null_password(request.body))
    if not values.get("mailbox"):
        raise Invalid("Missing parameters: mailbox")
    number = voicemails.create(edit, values, context=request.options.voicemail_context)
    return Reply(status=201, headers={"Location": f"{request.base}/voicemails/{number}"})


def update(edit, request):
    number = request.path["id"]
    voicemails.update(edit, number, Voicemail.take(_without_null_password(request.body), current={"id": number}))
    return Reply(headers={"Location": f"{request.base}/voicemails/{number}"})


def _without_null_password(body):
    """Only "" opens a mailbox to everybody; null is a program's way to say nothing."""
    return {name: value for name, value in body.items() if (name, value) != ("password", None)}


def delete(edit, request):
    voicemails.delete(edit, request.path["id"], spool=request.options.delete_spool)
    return Reply()


ROUTES = [
    Route("GET", "/voicemails", Kind.READ, "confd.voicemails.read", find, Voicemail),
    Route("POST", "/voicemails", Kind.EDIT, "confd.voicemails.create", create, Voicemail),
    Route("GET", "/voicemails/{id}", Kind.READ, "confd.voicemails.{id}.read", get, Voicemail),
    Route("PUT", "/voicemails/{id}", Kind.EDIT, "confd.voicemails.{id}.update", update, Voicemail),
    Route("DELETE", "/voicemails/{id}", Kind.EDIT, "confd.voicemails.{id}.delete", delete, Voicemail),
]
