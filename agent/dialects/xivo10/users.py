"""Users of XiVO 1.0: field names, and the five calls of the seed; found by `web` through ROUTES."""

from agent.dialects import xivo10
from agent.dialects.wire import Flag, Kind, Number, Object, Reply, Route, Text, Unfit
from agent.errors import Forbidden, InUse, Invalid
from agent.resources import users


class User(Object):
    """`ctiprofileid` is what clients came to use, `cti_profile_id` the seed's: both are taken and shown (row 3)."""

    id = Number()
    firstname = Text()
    lastname = Text()
    callerid = Text(attribute="caller_id")
    username = Text()
    password = Text()
    enableclient = Flag(attribute="enable_client")
    musiconhold = Text(attribute="music_on_hold")
    outcallerid = Text(attribute="outgoing_caller_id")
    mobilephonenumber = Text(attribute="mobile_phone_number")
    userfield = Text()
    timezone = Text()
    language = Text()
    description = Text()
    ctiprofileid = Number(attribute="cti_profile_id")
    voicemailid = Number(attribute="voicemail_id")
    agentid = Number(attribute="agent_id")
    entityid = Number(attribute="entity_id")
    email = Text()      # row 6: the seed's PUT sends one

    ALIASES = {"cti_profile_id": "ctiprofileid"}
    READ_ONLY = frozenset({"id"})


def find(view, request):
    return xivo10.listed([User.show(each) for each in users.find(view)], request)


def get(view, request):
    return Reply(User.show(users.get(view, request.path["id"])))


def create(edit, request):
    values = User.take(request.body)
    if not values.get("firstname", "").strip(" "):
        raise Invalid("Missing parameters: firstname")      # row 21
    return Reply(status=201, headers={"Location": f"{request.base}/users/{users.create(edit, values)}"})


def update(edit, request):
    number = request.path["id"]
    User.take(request.body, current={"id": number})     # a wrong name is said before an unknown id, as the 1.0 server did
    users.update(edit, number, User.take(request.body, current=users.get(edit, number)))
    return Reply(headers={"Location": f"{request.base}/users/{number}"})


def delete(edit, request):
    """`deleteVoicemail` in the query, with or without a value, takes the mailbox along (row 17); a value that says no is refused."""
    with_voicemail = "deleteVoicemail" in request.query
    if request.query.get("deleteVoicemail", "").lower() in ("0", "no", "false", "off"):
        raise Unfit(fields={"deleteVoicemail": "takes the mailbox along whatever its value; leave it out to keep it"})
    voicemail = users.get(edit, request.path["id"])["voicemail_id"]
    if with_voicemail and voicemail and not request.may(f"confd.voicemails.{voicemail}.delete"):
        raise Forbidden(f"no right to delete mailbox {voicemail}")
    try:
        users.delete(edit, request.path["id"], with_voicemail=with_voicemail, spool=request.options.delete_spool)
    except InUse as in_use:
        raise InUse("Cannot remove a user with a voicemail. Delete the voicemail or dissociate it from the user.") from in_use
    return Reply()


ROUTES = [
    Route("GET", "/users", Kind.READ, "confd.users.read", find, User),
    Route("POST", "/users", Kind.EDIT, "confd.users.create", create, User),
    Route("GET", "/users/{id}", Kind.READ, "confd.users.{id}.read", get, User),
    Route("PUT", "/users/{id}", Kind.EDIT, "confd.users.{id}.update", update, User),
    Route("DELETE", "/users/{id}", Kind.EDIT, "confd.users.{id}.delete", delete, User),
]
