"""People, as the directory keeps them, and their link to a mailbox; called by the dialects with a snapshot or the open edit.

A user is a dict of the fields in RULES and NUMBERS, {"id": int, "firstname": str, …, "voicemail_id": int or None}; every field is always
there. Asterisk has no place for people: what it knows of one is the full name of the linked mailbox, which follows a change of name.
"""

from agent.errors import InUse, Invalid
from agent.resources import text, voicemails

TABLE = "users"
FULLNAME_BYTES = 79     # app_voicemail.c: char fullname[80]


def _pattern(pattern, wanted):
    return lambda name, value: text.matching(name, value, pattern, wanted)


def _word(maximum):
    return _pattern(rf"[^ ;,|\\\"<>{text.BREAKING}]{{0,{maximum}}}", f"at most {maximum} characters, without blanks ; , | \\ \" < >")


def _caller_id(maximum):
    return _pattern(rf"[^;,|\\\[\]{{}}{text.BREAKING}]{{0,{maximum}}}", f"a caller id of at most {maximum} characters, without ; , | \\ [ ] {{ }}")


def _free(maximum_bytes):
    return lambda name, value: text.free(name, value, maximum_bytes=maximum_bytes)


#: text fields: the rule that each value must pass
RULES = {
    "firstname": _free(128),
    "lastname": _free(128),
    "caller_id": _caller_id(160),
    "username": _word(64),
    "password": _word(64),
    "music_on_hold": _pattern("[A-Za-z0-9_.-]{0,79}", "the name of a class of musiconhold.conf"),
    "outgoing_caller_id": _caller_id(80),
    "mobile_phone_number": _pattern(r"\+?[0-9*#]{0,127}", "digits, * and #, with a + before them if wanted"),
    "userfield": lambda name, value: text.printable(name, value, maximum_bytes=128),
    "timezone": _pattern("[A-Za-z0-9_+/-]{0,128}", "a time zone such as Europe/Paris"),
    "language": _pattern("(?:[a-z]{2,3}(?:_[A-Z]{2})?)?", "a language such as fr_FR"),
    "description": lambda name, value: text.printable(name, value, maximum_bytes=4000, lines=True),
    "email": _word(254),
}
#: number fields: what each is when nobody has set it
NUMBERS = {"cti_profile_id": None, "voicemail_id": None, "agent_id": None, "entity_id": 1}


def full_name(user):
    """Return "First Last" without blanks around it."""
    return f"{user['firstname']} {user['lastname']}".strip(" ")


def find(view):
    """Return all users, in the order of their ids: list of dict."""
    mailboxes = voicemails.ids(view)
    return [_user(row, mailboxes) for row in view.directory.rows(TABLE)]


def get(view, number):
    """Return one user. Raise NotFound."""
    return _user(view.directory.get(TABLE, number), voicemails.ids(view))


def _user(row, mailboxes):
    """Fill in the fields nobody has set; a link to a mailbox that has gone from the file is shown as none, and comes back with it."""
    user = {**{name: "" for name in RULES}, **NUMBERS, "enable_client": False, **row}
    user["caller_id"] = user["caller_id"] or full_name(user)
    user["music_on_hold"] = user["music_on_hold"] or "default"
    user["outgoing_caller_id"] = user["outgoing_caller_id"] or "default"
    user["voicemail_id"] = user["voicemail_id"] if user["voicemail_id"] in mailboxes else None
    return user


def create(edit, values):
    """Given the fields of a user, add it and return its id. Raise Invalid naming a field that can't be stored."""
    return edit.directory.add(TABLE, _checked(edit, values))


def update(edit, number, values):
    """Change some fields of a user; a new name is written into the linked mailbox's full name too, unless it stands in a template.

    Raises: NotFound; Invalid
    """
    before = get(edit, number)
    values = _checked(edit, values)
    if values.get("caller_id") in (full_name(before), full_name({**before, **values})):
        values["caller_id"] = ""        # as it was made of the name, so it follows the name
    edit.directory.update(TABLE, number, values)
    after = get(edit, number)
    if after["voicemail_id"] and full_name(after) != full_name(before) and voicemails.is_own(edit, after["voicemail_id"]):
        voicemails.update(edit, after["voicemail_id"], {"fullname": text.cut(full_name(after), FULLNAME_BYTES)})


def delete(edit, number, *, with_voicemail=False, spool=False):
    """Remove a user; with_voicemail its mailbox too, and with `spool` the messages in it.

    Raises: NotFound; InUse if it has a mailbox that shall stay.
    """
    user = get(edit, number)
    if user["voicemail_id"] and not with_voicemail:
        raise InUse(f"user {number} has a mailbox")
    if user["voicemail_id"]:
        voicemails.delete(edit, user["voicemail_id"], spool=spool)
    edit.directory.remove(TABLE, number)


def _checked(edit, values):
    values = {name: RULES[name](name, value) if name in RULES else value for name, value in values.items()}
    if values.get("firstname") == "":
        raise Invalid(fields={"firstname": "must not be empty"})
    if values.get("voicemail_id"):
        if values["voicemail_id"] not in voicemails.ids(edit):
            raise Invalid(fields={"voicemail_id": ""})
    elif "voicemail_id" in values:
        values["voicemail_id"] = None
    return values
