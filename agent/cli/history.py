"""status, history, diff, undo: what was changed, and the way back; commands of `cli`."""

import getpass
import json
import sys

from agent.build import build
from agent.diff import unified


def add(commands):
    """Add these commands to argparse's subparsers."""
    for name, function, text in (("status", _status, "what Asterisk doesn't know yet, and the last record"),
                                 ("history", _history, "the changes made, newest first"),
                                 ("diff", _diff, "what a record changed"),
                                 ("undo", _undo, "put back what a record changed")):
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(command=function)
        command.add_argument("--dir", metavar="DIR", help="the folder's own records, of `config … --dir DIR`")
        if name in ("status", "history"):
            command.add_argument("--json", action="store_true", help="for scripts")
        if name == "diff":
            command.add_argument("number", type=int)
        if name == "undo":
            command.add_argument("number", type=int, nargs="?", help="the last one if not given")


def _status(settings, options):
    built = build(settings)
    records = built.journal.records()
    found = {"records": len(records), "last": records[0].number if records else None, "pending": built.apply.pending()}
    print(json.dumps(found) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


def _history(settings, options):
    records = build(settings).journal.records()
    if options.json:
        print(json.dumps([_described(record) for record in records], indent=1))
        return
    for record in records:
        print(f"{record.number:>5}  {record.when}  {record.state:<7} {record.who.get('name', '?'):<12} {record.title}")


def _described(record):
    return {"number": record.number, "when": record.when, "state": record.state, "who": record.who, "title": record.title,
            "files": list(record.paths), "notes": record.notes}


def _diff(settings, options):
    record = build(settings).journal.record(options.number)
    for path in record.paths:
        sys.stdout.write(unified(path, record.before(path), record.after(path)))


def _undo(settings, options):
    built = build(settings)
    built.recover()
    with built.connected(settings.limits.ami_s):
        outcome = built.apply.undo(options.number, who={"name": getpass.getuser(), "how": "command line"})
    print(f"record {outcome.value} is undone" + (f" by record {outcome.record}" if outcome.record else "") + (
        "; Asterisk is away and will be told" if outcome.pending else ""))
