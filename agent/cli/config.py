"""`pbx-agent config`: any configuration file of Asterisk's, read as Asterisk reads it and edited without touching another byte.

Commands of `cli`. An edit is made where the thing stands, in an included file too, and goes through the same apply as a REST write. What is
ambiguous (two variables of that name, two categories) is refused with the places: nobody should have to guess what was changed.
"""

import getpass
import json
import shlex
import sys

from agent.build import build
from agent.diff import unified
from agent.errors import Conflict, Invalid, NotFound

WOULD_CHANGE = 2


def add(commands):
    """Add these commands to argparse's subparsers."""
    group = commands.add_parser("config", help="read and edit any configuration file", description="Read and edit any configuration file.")
    group = group.add_subparsers(required=True, metavar="COMMAND")
    show = _command(group, "show", _show, "categories and values as Asterisk has them", "FILE", "[CATEGORY]")
    show.add_argument("--json", action="store_true", help="for scripts; bytes as latin-1")
    _command(group, "get", _get, "the values of a variable, one a line", "FILE", "CATEGORY", "VARIABLE")
    _command(group, "check", _check, "what Asterisk would refuse or ignore, with file and line", "[FILE...]")
    for name, function, text, *arguments in (
            ("set", _set, "change a variable, or add it if it isn't there", "FILE", "CATEGORY", "VARIABLE", "VALUE"),
            ("add", _add, "add a category, or a variable after its like", "FILE", "CATEGORY", "[VARIABLE]", "[VALUE]"),
            ("unset", _unset, "remove a variable, or the whole category", "FILE", "CATEGORY", "[VARIABLE]")):
        command = _command(group, name, function, text, *arguments)
        command.add_argument("--dry-run", action="store_true", help=f"show the difference and change nothing; exit {WOULD_CHANGE} if there is one")
        command.add_argument("--template", action="store_true", help="CATEGORY is a template")
        command.add_argument("--shared", action="store_true", help="also where other categories inherit from it, and change with it")


def _command(group, name, function, text, *arguments):
    command = group.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    for each in arguments:
        number = "*" if each.endswith("...]") else "?" if each.startswith("[") else None
        word = each.strip("[].")
        command.add_argument(word.lower(), metavar=word, nargs=number)
    command.add_argument("--dir", metavar="DIR", help="a folder of configuration files, without an agent.conf and an Asterisk")
    command.set_defaults(command=function, name=name)
    return command


# ---- reading --------------------------------------------------------------------------------------------------------------------------

def _configuration(settings, name):
    """Return a file's Configuration. Raise NotFound."""
    def read(view):
        found = view.configuration(name)
        if name not in found.documents:
            raise NotFound("there is no such file", where=str(settings.asterisk.config_dir / name))
        return found
    return build(settings, numbering=False).apply.read(read)


def _show(settings, options):
    configuration = _configuration(settings, options.file)
    wanted = options.category
    categories = [each for each in configuration.categories if wanted is None or each.name.lower() == wanted.lower()]
    if options.json:
        print(json.dumps(_as_json(configuration, categories)))
        return
    if configuration.rejection:
        raise Invalid(f"Asterisk refuses it: {configuration.rejection.reason}", where=str(configuration.rejection.where))
    if wanted is not None and not categories:
        raise NotFound(f"there is no category {wanted}", where=options.file)
    for category in categories:
        bases = "".join(f",{base}" for base in category.bases)
        _print(f"[{category.name}]" + (f"(!{bases})" if category.is_template else f"({bases[1:]})" if bases else "") + f"    ; {category.where}")
        for each in category.variables:
            _print(f"{each.name} {'=>' if each.is_object else '='} {each.value}    ; {each.where}{', inherited' if each.inherited else ''}")


def _as_json(configuration, categories):
    """The form is AMI's GetConfig: a rejected file has no categories, and a name ends at the first `=`, also one that holds an escaped one."""
    rejected = configuration.rejection is not None
    return {
        "status": configuration.status,
        "categories": [] if rejected else [
            {"name": _latin(each.name), "template": each.is_template, "parents": ",".join(map(_latin, each.bases)),
             "vars": [_latin(f"{variable.name}={variable.value}").split("=", 1) for variable in each.variables]} for each in categories],
        "warnings": [f"{where}: {message}" for where, message in _findings(configuration)],
    }


def _latin(text):
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _print(text):
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")


def _get(settings, options):
    configuration = _configuration(settings, options.file)
    found = [each for category in _named(configuration, options.category) for each in category.all(options.variable)]
    if not found:
        raise NotFound(f"[{options.category}] has no {options.variable}", where=options.file)
    for each in found:
        _print(each.value)


def _named(configuration, name):
    """Return the categories of that name that aren't templates, or else the templates. Raise NotFound."""
    named = [each for each in configuration.categories if each.name.lower() == name.lower()]
    if not named:
        raise NotFound(f"there is no category {name}", where=configuration.name)
    return [each for each in named if not each.is_template] or named


def _check(settings, options):
    """Print every finding; return 1 if Asterisk would refuse a file."""
    names = options.file or sorted(each.name for each in settings.asterisk.config_dir.glob("*.conf"))
    refused = 0
    for name in names:
        configuration = _configuration(settings, name)
        refused |= configuration.rejection is not None
        for where, message in _findings(configuration):
            print(f"{where}: {message}")
    return refused


def _findings(configuration):
    rejection = configuration.rejection
    end = "Asterisk would hang or die" if rejection and rejection.is_deadly else "the whole file is refused"
    return [*configuration.warnings, *([(rejection.where, f"{rejection.reason}; {end}")] if rejection else [])]


# ---- writing --------------------------------------------------------------------------------------------------------------------------

def _write(settings, options, edit_configuration):
    """Apply an edit of options.file, or show what it would change. Return the exit status."""
    def edit(opened):
        configuration = opened.configuration(options.file)
        if options.file not in configuration.documents:
            raise NotFound("there is no such file", where=str(settings.asterisk.config_dir / options.file))
        edit_configuration(configuration)

    built = build(settings, numbering=False)
    if options.dry_run:
        difference = "".join(unified(reading.path, reading.data, data) for reading, data in built.apply.preview(edit))
        sys.stdout.buffer.write(difference.encode())
        return WOULD_CHANGE if difference else 0
    built.recover()
    title = "config " + shlex.join(word for word in (options.name, options.file, options.category, getattr(options, "variable", None)) if word)
    with built.connected(settings.limits.ami_s):
        outcome = built.apply.write(edit, title=title, who={"name": getpass.getuser(), "how": "command line"})
    print("nothing to change" if outcome.record is None else f"record {outcome.record}" + (
        "; Asterisk is away and will be told" if outcome.pending else ""))
    return 0


def _set(settings, options):
    def edit(configuration):
        variable = _only_variable(configuration, options)
        if variable is None:
            configuration.add(_only_category(configuration, options), options.variable, options.value, shared=options.shared)
        else:
            configuration.set(variable, options.value, shared=options.shared or options.template)

    return _write(settings, options, edit)


def _add(settings, options):
    if options.variable is not None and options.value is None:
        raise Invalid("add needs a value with the variable")

    def edit(configuration):
        if options.variable is None:
            if configuration.category(options.category, template=options.template):
                raise Conflict(f"there is a category {options.category} already", where=options.file)
            configuration.add_category(options.category, is_template=options.template)
        else:
            configuration.add(_only_category(configuration, options), options.variable, options.value, shared=options.shared or options.template)

    return _write(settings, options, edit)


def _unset(settings, options):
    def edit(configuration):
        if options.variable is None:
            configuration.remove_category(_only_category(configuration, options))
            return
        variable = _only_variable(configuration, options)
        if variable is None:
            raise NotFound(f"[{options.category}] has no {options.variable}", where=options.file)
        configuration.remove(variable, shared=options.shared or options.template)

    return _write(settings, options, edit)


def _candidates(configuration, options):
    named = [each for each in configuration.categories if each.name.lower() == options.category.lower() and each.is_template == options.template]
    if not named:
        raise NotFound(f"there is no {'template' if options.template else 'category'} {options.category}", where=options.file)
    return named


def _only_category(configuration, options):
    """Return the category meant. Raise NotFound; Conflict if several have the name."""
    named = _candidates(configuration, options)
    if len(named) > 1:
        raise Conflict(f"several categories are named {options.category}: " + ", ".join(str(each.where) for each in named), where=options.file)
    return named[0]


def _only_variable(configuration, options):
    """Return the variable meant, an own one before an inherited one, or None. Raise NotFound; Conflict if there are several."""
    by_category = [found for category in _candidates(configuration, options) if (found := category.all(options.variable))]
    if not by_category:
        return None
    own = [each for each in by_category[0] if not each.inherited]
    if len(by_category) > 1 or len(own) > 1:
        places = sorted({each.where for found in by_category for each in found})
        raise Conflict(f"several variables are named {options.variable}: " + ", ".join(map(str, places)), where=options.file)
    return own[0] if own else by_category[0][-1]
