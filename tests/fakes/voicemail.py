"""What a fake Asterisk understands of a voicemail.conf: comments, blocks, templates, `(+)`, includes; then the columns of a mailbox.

Called by the fake only. It deliberately shares nothing with agent/document: a mistake there must not be made here too.
"""

import re

TRUE = ("yes", "true", "y", "t", "1", "on")
NAMED = {
    "serveremail": "ServerEmail", "fromstring": "FromString", "language": "Language", "tz": "TimeZone", "callback": "Callback",
    "dialout": "Dialout", "exitcontext": "ExitContext", "attachfmt": "AttachmentFormat", "maxmsg": "MaxMessageCount",
}
YES_NO = {"attach": "AttachMessage", "delete": "DeleteMessage", "deletevoicemail": "DeleteMessage", "saycid": "SayCID",
          "envelope": "SayEnvelope", "review": "CanReview", "operator": "CallOperator"}
NOT_MAILBOXES = ("general", "zonemessages")


class Broken(Exception):
    """Asterisk would reject the whole file; the text is its log's."""


def read_mailboxes(folder, name):
    """Given a folder and a file's name, return {"100@default": {AMI field: text}} in the file's order. Raise Broken, FileNotFoundError."""
    categories = []
    _read(folder, name, categories)
    general = next((dict(lines) for title, template, lines in categories if title == "general" and not template), {})
    aliases = general.get("aliasescontext")
    found = {}
    for title, template, lines in categories:
        if not template and title not in NOT_MAILBOXES and title != aliases:
            for mailbox, value in lines:
                found.setdefault(f"{mailbox}@{title}", _fields(mailbox, title, value, general))
    return found


def _read(folder, name, categories, current=None):
    text = (folder / name).read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    for number, line in enumerate(_uncommented(text), 1):
        line = line.strip("".join(map(chr, range(33))))
        if line.startswith("["):
            current = _category(line, number, name, categories)
        elif line.startswith(("#include", "#tryinclude")):
            for path in sorted(folder.glob(line.split(None, 1)[1].strip('"<>'))):
                _read(folder, path.relative_to(folder), categories, current)
        elif "=" in line:
            if current is None:
                raise Broken(f"parse error: No category context for line {number} of {name}")
            variable, _, value = line.partition("=")
            current.append((variable.strip(), value.removeprefix(">").strip()))


def _uncommented(text):
    """The lines without comments and `;-- --;` blocks."""
    depth = 0
    for line in text.split("\n"):
        kept = ""
        for part in re.split(r"(;--(?!-)|--;|\\;|;)", line):
            if part == ";--":
                depth += 1
            elif part == "--;" and depth:
                depth -= 1
            elif not depth and part == ";":
                break
            elif not depth:
                kept += ";" if part == "\\;" else part
        yield kept


def _category(line, number, name, categories):
    match = re.match(r"\[([^\]]*)\](?:\(([^)]*)\))?", line)
    if not match:
        raise Broken(f"parse error: no closing ']', line {number} of {name}")
    title, options = match[1], (match[2] or "").split(",") if match[2] else []
    if "+" in options:
        return next(lines for known, template, lines in categories if known == title and not template)
    lines = []
    for parent in options:
        if parent != "!":
            inherited = [each for known, _, each in categories if known == parent]
            if not inherited:
                raise Broken(f"Inheritance requested, but category '{parent}' does not exist, line {number} of {name}")
            lines += inherited[0]
    categories.append((title, "!" in options, lines))
    return lines


def _fields(mailbox, context, value, general):
    password, fullname, email, pager, options = (value.split(",", 4) + [None] * 5)[:5]
    fields = {
        "VMContext": context, "VoiceMailbox": mailbox, "Fullname": _cut(fullname or ""), "Email": "(null)" if email is None else email,
        "Pager": pager or "", "ServerEmail": "asterisk", "FromString": "", "MailCommand": "/usr/sbin/sendmail -t", "Language": "",
        "TimeZone": "", "Callback": "", "Dialout": "", "UniqueID": "", "ExitContext": "", "SayDurationMinimum": "2", "SayEnvelope": "Yes",
        "SayCID": "No", "AttachMessage": "Yes", "AttachmentFormat": "", "DeleteMessage": "No", "VolumeGain": "0.00", "CanReview": "No",
        "CanMarkUrgent": "Yes", "CallOperator": "No", "MaxMessageCount": "100", "MaxMessageLength": "0", "NewMessageCount": "0",
        "OldMessageCount": "0",
    }
    own = [each.split("=", 1) for each in (options or "").split("|") if "=" in each]
    for option, text in [("attach", general.get("attach", "yes")), *own]:
        if option.lower() in YES_NO:
            fields[YES_NO[option.lower()]] = "Yes" if text.strip().lower() in TRUE else "No"
        elif option.lower() in NAMED:
            fields[NAMED[option.lower()]] = text
    return fields


def _cut(text):
    """Asterisk keeps 79 bytes of a name."""
    return text.encode("utf-8", "surrogateescape")[:79].decode("utf-8", "surrogateescape")
