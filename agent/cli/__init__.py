"""The commands of `pbx-agent`, for root over SSH; called by `__main__` with the arguments.

Each prints what it did and returns the exit status: 0 done (or nothing to do), 1 refused (the reason on standard error), 2 wrong usage, or
a dry run that would change something. A command that writes uses the same apply, lock and journal as the daemon, whether that runs or not.
To add a command, add a module here with `add(commands)` and name it in COMMANDS.
"""

import argparse
import dataclasses
import hashlib
import logging
import os
import sys
from pathlib import Path

from agent.build import serve
from agent.cli import config, history
from agent.errors import Fault
from agent.settings import Asterisk, Settings, State, load

COMMANDS = (history, config)


def main(arguments=None):
    """Run one command. Return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        return options.command(_settings(options), options) or 0
    except Fault as fault:
        print(f"pbx-agent: {fault}", file=sys.stderr)
        for reason in getattr(fault, "reasons", ()):
            print(f"  {reason}", file=sys.stderr)
        return 1
    except BrokenPipeError:     # `pbx-agent history | head`; the interpreter would complain once more while it closes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser():
    parser = argparse.ArgumentParser(prog="pbx-agent", description="Edits Asterisk's configuration files losslessly, applies, proves, and goes back.")
    parser.add_argument("--config", default=os.environ.get("PBX_AGENT_CONFIG", "/etc/pbx-agent/agent.conf"), metavar="FILE",
                        help="settings (default: $PBX_AGENT_CONFIG, then %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("serve", help="run the agent in the foreground", description="Run the agent in the foreground.")
    command.set_defaults(command=lambda settings, options: serve(settings))
    for each in COMMANDS:
        each.add(commands)
    return parser


def _settings(options):
    """Return the settings of the file named, or, with --dir, those for a folder that has none: no Asterisk, a state folder of its own."""
    folder = getattr(options, "dir", None)
    if folder is None:
        return load(options.config)
    folder = Path(folder).absolute()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    return dataclasses.replace(Settings(), asterisk=Asterisk(config_dir=folder, ami=None), state=State(Path(base) / "pbx-agent" / name))
