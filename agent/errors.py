"""The eight error families that every room raises and every dialect translates; imports nothing.

Raised anywhere below `web.py`, which finds a dialect's status for a family by walking the class's bases. An error says in one
sentence what is wrong and where; it never carries a secret. It deliberately knows no status number: those belong to dialects.
"""


class Fault(Exception):
    """Base of the families: `message` is one sentence for a person, `where` the place ("voicemail.conf:12"), if there is one."""

    def __init__(self, message, *, where=None):
        super().__init__(message)
        self.message = message
        self.where = where

    def __str__(self):
        return f"{self.where}: {self.message}" if self.where else self.message


class NotFound(Fault):
    """What was asked for doesn't exist."""


class Invalid(Fault):
    """The input can't be accepted as it is.

    fields: {name: reason}, the fields at fault in the caller's order, a reason being a clause such as "must be a string" or "" where
        the name says it all; empty if the fault isn't a field's. The message is made of them unless it is given.
    """

    def __init__(self, message=None, *, fields=None, where=None):
        self.fields = dict(fields or {})
        super().__init__(message or "; ".join(f"{name} {reason or 'is not accepted'}" for name, reason in self.fields.items()), where=where)


class TooLarge(Invalid):
    """The input is longer than the limit that the message names."""


class Conflict(Fault):
    """It can't be done beside what is there: somebody else changed the file meanwhile, or the edit would change another thing."""


class Exists(Conflict):
    """Something of that name is there already."""


class InUse(Conflict):
    """Something else still needs it."""


class Outdated(Conflict):
    """What the caller made a condition (If-Match) isn't so."""


class Unauthenticated(Fault):
    """Nobody we know: no credentials, or wrong ones.

    challenges: list of str, values for WWW-Authenticate.
    """

    def __init__(self, message, *, challenges=(), where=None):
        super().__init__(message, where=where)
        self.challenges = list(challenges)


class Throttled(Unauthenticated):
    """Too many wrong guesses from this address for this account; `retry_after_s` seconds must pass."""

    def __init__(self, message, *, retry_after_s, where=None):
        super().__init__(message, where=where)
        self.retry_after_s = retry_after_s


class Forbidden(Fault):
    """Somebody we know, or an address, without the right."""


class Rejected(Fault):
    """Asterisk refused the change, and every file is as it was before.

    reasons: list of str, Asterisk's own log lines and what was found missing on reading back.
    """

    def __init__(self, message, *, reasons=(), where=None):
        super().__init__(message, where=where)
        self.reasons = list(reasons)


class Unavailable(Fault):
    """It can't be done now: no AMI, the lock is held, a file is being rewritten by somebody else."""


class NoSpace(Unavailable):
    """The disk or the quota is full; nothing was changed."""


class Damaged(Fault):
    """Something is left half done, and a person is needed: the message says what, and where the old bytes are kept."""


class Internal(Fault):
    """A fault of our own; the message says under which request id the log has more."""
