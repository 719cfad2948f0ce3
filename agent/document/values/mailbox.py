"""A mailbox's line in voicemail.conf; called by resources/voicemails.py.

It deliberately decides nothing about what may be stored: those rules are the resource's.
"""

from typing import NamedTuple


class MailboxLine(NamedTuple):
    """`password,fullname,email,pager,option=value|option=value`, the value of one mailbox in voicemail.conf.

    Commas separate the first four and can't be quoted; options are all that follows the fourth comma (facts.md 1.7). Nothing is trimmed,
    as app_voicemail trims nothing. A part that isn't there is None and stays away until something after it is set.
    Source: apps/app_voicemail.c append_mailbox, apply_options.
    """

    password: str | None
    fullname: str | None = None
    email: str | None = None
    pager: str | None = None
    options: str | None = None

    @classmethod
    def parse(cls, value):
        return cls(*value.split(",", 4))

    def __str__(self):
        parts = list(self)
        while parts and parts[-1] is None:
            parts.pop()
        return ",".join(part or "" for part in parts)

    def replace(self, **parts):
        """Return the line with the named parts changed; a part set to "" that isn't there stays away."""
        return self._replace(**{name: text for name, text in parts.items() if text != (getattr(self, name) or "")})

    def option(self, *names):
        """Return the value of the last option of any of the names (ASCII case ignored), as Asterisk lets the last one win, or None."""
        for each in reversed((self.options or "").split("|")):
            name, equals, value = each.partition("=")
            if equals and name.lower() in names:
                return value
        return None

    def with_option(self, value, *names):
        """Return the line with the option set to value, in the place and spelling it has; or added at the end as names[0]."""
        options = self.options.split("|") if self.options else []
        for index in reversed(range(len(options))):
            name, equals, _ = options[index].partition("=")
            if equals and name.lower() in names:
                options[index] = f"{name}={value}"
                break
        else:
            options.append(f"{names[0]}={value}")
        return self.replace(options="|".join(options))

    def without_option(self, *names):
        """Return the line without any option of these names."""
        options = (self.options or "").split("|")
        return self.replace(options="|".join(each for each in options if each.partition("=")[0].lower() not in names))
