"""The commands of `pbx-agent`, for root over SSH; called by `__main__` with parsed arguments.

Each prints what it did and returns the exit status: 0 done, 1 refused (the reason on standard error), 2 wrong usage. A command that writes
uses the same apply, the same lock and the same journal as the daemon, whether that is running or not.
"""

import argparse
import difflib
import getpass
import json
import logging
import os
import sys

from agent.build import build, serve
from agent.errors import Fault
from agent.settings import load


def main(arguments=None):
    """Run one command. Return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        return options.command(load(options.config), options) or 0
    except Fault as fault:
        print(f"pbx-agent: {fault}", file=sys.stderr)
        for reason in getattr(fault, "reasons", ()):
            print(f"  {reason}", file=sys.stderr)
        return 1


def _parser():
    parser = argparse.ArgumentParser(prog="pbx-agent", description="Edits Asterisk's configuration files losslessly, applies, proves, and goes back.")
    parser.add_argument("--config", default=os.environ.get("PBX_AGENT_CONFIG", "/etc/pbx-agent/agent.conf"), metavar="FILE",
                        help="settings (default: $PBX_AGENT_CONFIG, then %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "serve", _serve, "run the agent in the foreground")
    _add(commands, "status", _status, "what Asterisk doesn't know yet, and the last records").add_argument("--json", action="store_true")
    _add(commands, "history", _history, "the changes made, newest first").add_argument("--json", action="store_true")
    _add(commands, "diff", _diff, "what a record changed").add_argument("number", type=int)
    _add(commands, "undo", _undo, "put back what a record changed").add_argument("number", type=int, nargs="?", help="the last one if not given")
    return parser


def _add(commands, name, function, text):
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(command=function)
    return command


def _serve(settings, options):
    serve(settings)


def _status(settings, options):
    built = build(settings)
    records = built.journal.records()
    found = {"records": len(records), "last": records[0].number if records else None, "pending": built.apply.pending()}
    print(json.dumps(found) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


def _history(settings, options):
    records = build(settings).journal.records()
    if options.json:
        print(json.dumps([_described(record) for record in records], indent=1))
    for record in records if not options.json else ():
        print(f"{record.number:>5}  {record.when}  {record.state:<7} {record.who.get('name', '?'):<12} {record.title}")


def _described(record):
    return {"number": record.number, "when": record.when, "state": record.state, "who": record.who, "title": record.title,
            "files": list(record.paths), "notes": record.notes}


def _diff(settings, options):
    record = build(settings).journal.record(options.number)
    for path in record.paths:
        before, after = (_lines(data) for data in (record.before(path), record.after(path)))
        sys.stdout.writelines(difflib.unified_diff(before, after, f"before{path}", f"after{path}"))


def _lines(data):
    """Split on LF only, as Asterisk does; bytes that aren't UTF-8 are shown as escapes."""
    text = (data or b"").decode("utf-8", "backslashreplace")
    return [line + "\n" for line in text.removesuffix("\n").split("\n")] if text else []


def _undo(settings, options):
    built = build(settings)
    built.recover()
    with built.connected(settings.limits.ami_s):
        outcome = built.apply.undo(options.number, who={"name": getpass.getuser(), "how": "command line"})
    print(f"record {outcome.value} is undone" + (f" by record {outcome.record}" if outcome.record else "") + (
        "; Asterisk is away and will be told" if outcome.pending else ""))
