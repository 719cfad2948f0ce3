"""Reads mailboxes back from app_voicemail over AMI; called by `reload`, which compares.

It deliberately reads no file: what counts is what Asterisk has in memory. What is known of the answers, measured on 16.28.0 and 22.10.1:

- VoicemailUserStatus answers one mailbox (0.3 ms, also among 20,000), VoicemailUsersList all (0.45 s and 11 MB for 20,000, since it counts
  everybody's messages). Both give the same fields, none of them a password; both answer nothing found with Success, a message and no list.
- An e-mail that isn't there is `(null)` (C's way to print nothing), an empty one is empty; both mean none and are read as "".
- Context and mailbox are found in any case of letters, but the first of a file wins over later ones of the same name (the log says
  "Ignoring duplicated mailbox"). A child of a template has its parent's mailboxes first.
- Yes/No of AttachMessage and DeleteMessage; `delete=yes` and `deletevoicemail=yes` both make DeleteMessage: Yes. AttachMessage is Yes
  unless told otherwise.
- Values come as the bytes of the file, inner blanks kept; Asterisk cuts a full name at 79 bytes, and that shows as a difference.
- If a reader is too slow for 100 ms (`writetimeout`), Asterisk 16 drops entries of the list and then hangs up: `ListItems` betrays it.
"""

from agent.errors import Unavailable

ONE_BY_ONE = 50         # up to so many mailboxes are asked for singly
ATTEMPTS = 3
BACK_S = 2              # for a connection that Asterisk has cut to come back


def read_mailboxes(ami, keys):
    """Given keys ("100@default"), return {key: {AMI field: text}} of those that Asterisk has. Raise Unavailable."""
    keys = list(keys)
    if len(keys) <= ONE_BY_ONE:
        entries = [entry for key in keys for entry in _one(ami, key)]
    else:
        entries = _all(ami)
    found = {}
    for entry in entries:
        found.setdefault(f"{entry.get('VoiceMailbox')}@{entry.get('VMContext')}", _plain(entry))
    return {key: found[key] for key in keys if key in found}


def _one(ami, key):
    mailbox, _, context = key.partition("@")
    return _listed(ami.action("VoicemailUserStatus", [("Mailbox", mailbox), ("Context", context)]))


def _all(ami):
    """Every mailbox; an answer with entries missing is asked for again."""
    for _ in range(ATTEMPTS):
        response = ami.action("VoicemailUsersList")
        if response.summary.get("ListItems", "0") == str(len(response.events)):
            return _listed(response)
        ami.wait_booted(BACK_S)
    raise Unavailable("Asterisk's list of mailboxes keeps arriving incomplete")


def _listed(response):
    if not response.ok:
        raise Unavailable(f"Asterisk doesn't tell its mailboxes: {response.message}")
    return response.events


def _plain(entry):
    return {field: "" if text == "(null)" else text for field, text in entry.items()}
