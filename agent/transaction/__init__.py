"""Several files changed as one, over crashes, full disks and other writers; bytes only, it knows nothing of Asterisk.

    with lock.hold():
        reading = read("/etc/asterisk/voicemail.conf", places)      places.py   links, allowed roots, half-written files
        with journal.begin("set a password", {"name": "ada"}) as change:
            change.replace(reading, new_bytes)                      change.py   (journal.py, record.py: what lies on disk)
            change.apply()                                          replace.py  one file changes places with its successor
            change.keep({"reload": "done"})                         …or leaving the block undoes it
    with lock.hold():
        recover(journal)                                            recover.py  at each start

Import from here. Everything talks to the system through kernel.py's Kernel, which tests replace by one that fails or dies.
"""

from agent.transaction.change import Change
from agent.transaction.journal import Journal
from agent.transaction.kernel import Kernel
from agent.transaction.lock import Lock
from agent.transaction.places import Places, Reading, changed, read
from agent.transaction.record import Record
from agent.transaction.recover import Recovered, recover
from agent.transaction.replace import ChangedMeanwhile, EditedSince

__all__ = [
    "Change", "ChangedMeanwhile", "EditedSince", "Journal", "Kernel", "Lock", "Places", "Reading", "Record", "Recovered",
    "changed", "read", "recover",
]
