"""Mailboxes: the lines of voicemail.conf, with an id each; called by the dialects with a snapshot or the open edit.

A mailbox is a dict: {"id": int, "mailbox": "100", "context": "default", "password": str, "fullname": str, "email": str, "attach": bool,
"delete": bool, "skipcheckpass": bool}. What Asterisk has an option for is in its file, in the words of its sample; the id and
`skipcheckpass` (which only a dialplan can act on) are in the directory. Mailboxes typed by hand get an id by `adopt`, and lines app_voicemail
wouldn't use (in a template, or a second one of the same number) aren't listed.
"""

import secrets
from typing import NamedTuple

from agent.document.values import MailboxLine, is_true
from agent.errors import Conflict, Exists, NotFound, Unavailable
from agent.resources import text

FILES = {"voicemail.conf": "app_voicemail.so"}
FILE = "voicemail.conf"
TABLE = "voicemails"
SETTINGS = ("general", "zonemessages")
PASSWORD_DIGITS = 6


class Box(NamedTuple):
    """One line that app_voicemail uses: `variable` is what the document holds, `line` what its value says."""

    context: str
    variable: object
    line: MailboxLine

    @property
    def key(self):
        return key(self.variable.name, self.context)


def key(mailbox, context):
    """Return the name of a mailbox over all contexts, `100@default`; app_voicemail ignores case in both."""
    return f"{mailbox}@{context}".lower()


def boxes(view):
    """Return the mailboxes as app_voicemail reads them: {key: Box}, in file order, the first of two equal ones; none without a file.

    Raises: Unavailable if Asterisk would refuse the file: it goes on with what it read before, and nobody can say which mailboxes those are
    """
    return view.derived(_boxes)


def ids(view):
    """Return the ids of the mailboxes that are there now: set of int; while nobody can say, of all that were."""
    return view.derived(_ids)


def _ids(view):
    rows = view.directory.rows(TABLE)
    try:
        present = boxes(view)
    except Unavailable:
        return {row["id"] for row in rows}
    return {row["id"] for row in rows if row["box"] in present}


def _boxes(view):
    conf = view.configuration(FILE)
    if conf.rejection and FILE in conf.documents:
        raise Unavailable(f"Asterisk would refuse the file: {conf.rejection.reason}; that must be mended first, by hand", where=str(conf.rejection.where))
    found = {}
    for context in _contexts(view):
        for variable in context.variables:
            box = Box(context.name, variable, MailboxLine.parse(variable.value))
            found.setdefault(box.key, box)
    return found


def _contexts(view):
    conf = view.configuration(FILE)
    skipped = {*SETTINGS, (_general(view, "aliasescontext") or "").lower()}
    return [each for each in conf.categories if not each.is_template and each.name.lower() not in skipped]


def _general(view, name):
    """Return the value of a variable of [general], or None; the first wins, as in ast_variable_retrieve."""
    general = view.configuration(FILE).category("general")
    return general.get(name, first=True) if general else None


# ---- reading --------------------------------------------------------------------------------------------------------------------------

def find(view):
    """Return all mailboxes, in the order of their ids: list of dict."""
    present = boxes(view)
    rows = (row for row in view.directory.rows(TABLE) if row["box"] in present)
    attach = _general(view, "attach")
    return [_mailbox(row, present[row["box"]], attach) for row in rows]


def get(view, number):
    """Return one mailbox. Raise NotFound if no mailbox has that id, or its line has gone from the file."""
    row, box = _row_and_box(view, number)
    return _mailbox(row, box, _general(view, "attach"))


def _row_and_box(view, number):
    row = view.directory.get(TABLE, number)
    box = boxes(view).get(row["box"])
    if box is None:
        raise NotFound(f"mailbox {row['box']} is no longer in the file", where=FILE)
    return row, box


def _mailbox(row, box, general_attach):
    """Join directory row and line. Asterisk's default for attach is yes (app_voicemail.c actual_load_config)."""
    attach = box.line.option("attach") or general_attach or "yes"
    return {
        "id": row["id"],
        "mailbox": _readable(box.variable.name),
        "context": _readable(box.context),
        "password": _readable((box.line.password or "").removeprefix("-")),
        "fullname": _readable(box.line.fullname or ""),
        "email": _readable(box.line.email or ""),
        "attach": is_true(attach),
        "delete": is_true(box.line.option("delete", "deletevoicemail") or "no"),
        "skipcheckpass": row.get("skipcheckpass", False),
    }


def _readable(text):
    """Return text of the file for showing: bytes that aren't UTF-8 are taken for latin-1, as an admin of 2005 typed them."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


# ---- writing --------------------------------------------------------------------------------------------------------------------------

def create(edit, values, *, context):
    """Given the fields of a mailbox, add its line to the context, after its like, and return its id.

    values: {"mailbox": "100", …}; without a password a random one of six digits is made, an empty one lets anybody in.
    Raises: Invalid naming a field that can't be stored; Exists.
    """
    values = _checked({"password": _new_password(), "fullname": "", "email": "", **values})
    mailbox = values["mailbox"]
    if key(mailbox, context) in boxes(edit):
        raise Exists(f"mailbox {mailbox}@{context} exists already", where=FILE)
    conf = edit.configuration(FILE)
    if FILE not in conf.documents:
        raise Conflict("it doesn't exist, or lies outside the folders that may be changed; make one first, an empty one will do", where=FILE)
    category = conf.category(context) or conf.add_category(context)
    line = _changed(MailboxLine("", ""), values, _general(edit, "attach"))
    conf.add(category, mailbox, str(line), is_object=None if category.variables else True)
    _expect(edit, mailbox, context, line)
    _forget(edit, key(mailbox, context))
    return edit.directory.add(TABLE, _row(key(mailbox, context), values))


def update(edit, number, values):
    """Given some fields of a mailbox, change just those in its line.

    Raises: NotFound; Invalid; Exists if the new number is taken; Conflict if the line stands in a template.
    Keeps: every option and column not named, the `-` of a password its owner may not change, the comment beside the line.
    """
    row, box = _row_and_box(edit, number)
    _own(box)
    shown = _mailbox(row, box, _general(edit, "attach"))
    values = _checked({name: value for name, value in values.items() if value != shown[name]})     # what a person typed may stay as it is
    conf = edit.configuration(FILE)
    line = _changed(box.line, values, _general(edit, "attach"))
    if str(line) != str(box.line):
        conf.set(box.variable, str(line))
        _expect(edit, box.variable.name, box.context, line)
    if values.get("mailbox", box.variable.name) != box.variable.name:
        _renumber(edit, row, box, values["mailbox"], line)
    edit.directory.update(TABLE, number, {name: values[name] for name in ("skipcheckpass",) if name in values})


def delete(edit, number, *, spool=False):
    """Remove a mailbox, each of its lines, and every user's link to it; with `spool` also its messages, once Asterisk has let it go.

    Raises: NotFound; Conflict if a line stands in a template.
    """
    row, box = _row_and_box(edit, number)
    conf = edit.configuration(FILE)
    for context in _contexts(edit):
        for variable in list(context.variables):
            if key(variable.name, context.name) == box.key:
                _own(Box(context.name, variable, box.line))
                conf.remove(variable)
    edit.expect("mailbox", f"{box.variable.name}@{box.context}", None)
    edit.directory.remove(TABLE, number)
    for user in edit.directory.rows("users"):
        if user.get("voicemail_id") == number:
            edit.directory.update("users", user["id"], {"voicemail_id": None})
    if spool:
        edit.afterwards("remove_mailbox", box.context, box.variable.name)


def is_own(view, number):
    """Return whether a mailbox's line stands in its context itself, where it can be changed, and not in a template. Raise NotFound."""
    return not _row_and_box(view, number)[1].variable.inherited


def unadopted(view):
    """Return the keys of mailboxes that somebody typed by hand and that have no id yet, in file order."""
    known = {row["box"] for row in view.directory.rows(TABLE)}
    try:
        return [each for each in boxes(view) if each not in known]
    except Unavailable:
        return []


def adopt(edit):
    """Give an id to each mailbox that has none. A line that goes and comes back keeps its id: it is the same mailbox."""
    keys = unadopted(edit)
    if keys:
        edit.directory.add_all(TABLE, [_row(each, {}) for each in keys])


def _renumber(edit, row, box, mailbox, line):
    new, old_mailbox = key(mailbox, box.context), box.variable.name
    if new != box.key and new in boxes(edit):
        raise Exists(f"mailbox {mailbox}@{box.context} exists already", where=FILE)
    edit.configuration(FILE).rename(box.variable, mailbox)
    edit.expect("mailbox", f"{old_mailbox}@{box.context}", None)
    _expect(edit, mailbox, box.context, line)
    _forget(edit, new)
    edit.directory.update(TABLE, row["id"], {"box": new})
    edit.afterwards("move_mailbox", box.context, old_mailbox, mailbox)


def _own(box):
    if box.variable.inherited:
        raise Conflict(f"mailbox {box.key} is inherited from a template; it is changed there, by hand", where=str(box.variable.where))


def _forget(edit, box_key):
    """Drop the id of a mailbox of that name that went from the file earlier: a new mailbox never gets an old one's id."""
    old = edit.directory.find(TABLE, box=box_key)
    if old:
        edit.directory.remove(TABLE, old["id"])


def _row(box_key, values):
    return {"box": box_key, "skipcheckpass": values.get("skipcheckpass", False)}


def _expect(edit, mailbox, context, line):
    """Say what app_voicemail must show after the reload, in the words of AMI's VoicemailUserEntry."""
    wanted = {"Fullname": line.fullname or "", "Email": line.email or ""}
    for option, name in (("attach", "AttachMessage"), ("delete", "DeleteMessage")):
        if line.option(option) is not None:
            wanted[name] = "Yes" if is_true(line.option(option)) else "No"
    edit.expect("mailbox", f"{mailbox}@{context}", wanted)


def _changed(line, values, general_attach):
    """Return the line with the values in it: an option is written only where it changes what Asterisk would do."""
    if "password" in values:
        mark = "-" if (line.password or "").startswith("-") else ""
        line = line.replace(password=mark + values["password"])
    line = line.replace(**{name: values[name] for name in ("fullname", "email") if name in values})
    if "attach" in values:
        now = is_true(line.option("attach") or general_attach or "yes")
        line = line if now == values["attach"] else line.with_option(_yes_or_no(values["attach"]), "attach")
    if "delete" in values:
        now = is_true(line.option("delete", "deletevoicemail"))
        line = line if now == values["delete"] else _with_delete(line, values["delete"])
    return line


def _with_delete(line, wanted):
    return line.with_option("yes", "delete", "deletevoicemail") if wanted else line.without_option("delete", "deletevoicemail")


def _yes_or_no(value):
    return "yes" if value else "no"


def _new_password():
    return "".join(secrets.choice("0123456789") for _ in range(PASSWORD_DIGITS))


RULES = {
    "mailbox": lambda name, value: text.matching(name, value, "[0-9]{1,40}", "1 to 40 digits"),
    "password": lambda name, value: text.matching(name, value, "(?:[0-9A-D#][0-9A-D#*]{0,77})?", "keys of a telephone, at most 78"),
    "fullname": lambda name, value: text.free(name, value, maximum_bytes=79),
    "email": lambda name, value: text.matching(name, value, r"(?:[^\x00-\x20,;|\"<>\\$\x7f-\U0010ffff]+(?:\|(?!$)|(?=$)))*",
                                               "an e-mail address, or several joined by |") and text.printable(name, value, maximum_bytes=254),
}


def _checked(values):
    """Return the values as they can be stored. Raise Invalid naming the first field that can't."""
    return {name: RULES[name](name, value) if name in RULES else value for name, value in values.items()}
