"""Interpretations of a variable's value: one text seen as its parts; called by resources with the text a Variable holds.

An interpretation is immutable: a change gives another one, and a part that isn't named keeps its exact text. `str()` gives back any value;
what Asterisk wouldn't take is kept, and `problem` says why. They deliberately decide nothing about what may be stored: those rules are
the resources'. One concept a file; where Asterisk reads several lines together, a second name beside the line's does so too.
"""

from .access_list import AccessEntry, AccessLine, AccessList, AccessRule
from .codecs import CODECS, CODECS_16, Codec, CodecList, EffectiveCodecs, effective_codecs
from .context import PRIORITY_HINT, Context, Step
from .extension import ExtensionLine
from .flags import is_false, is_true
from .mailbox import MailboxLine
from .member import QueueMember

__all__ = ["CODECS", "CODECS_16", "PRIORITY_HINT", "AccessEntry", "AccessLine", "AccessList", "AccessRule", "Codec", "CodecList", "Context",
           "EffectiveCodecs", "ExtensionLine", "MailboxLine", "QueueMember", "Step", "effective_codecs", "is_false", "is_true"]
