"""agent/document/values against Asterisk 22 and 16: generated lines of each kind, read by both, with not one difference allowed."""

import ipaddress
import re
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.document.values import (CODECS, CODECS_16, PRIORITY_HINT, AccessLine, AccessList, CodecList, Context, ExtensionLine, QueueMember,
                                   effective_codecs, is_false, is_true)
from tests.appliance.conftest import SUITES, start
from tests.document.values import generate

BLANKS = " \t"
DIALPLAN_LINE = re.compile(
    r"(?:  '(?P<extension>.*)' (?:\(CID match '(?P<cidmatch>.*)'\) )?=> +)?(?: +\[[^\]]*\])? *"
    r"(?:(?P<priority>-?[0-9]+)\.|hint:) (?P<application>.*?) +\[extensions\.conf:(?P<line>[0-9]+)\]")
RELOADS = ("dialplan reload", "queue reload all", "module reload acl", "module reload res_pjsip.so", "manager reload")


class Asked:
    """A real Asterisk, and what it says about its configuration."""

    def __init__(self, appliance):
        self.appliance = appliance
        self.cli = appliance.cli

    def write(self, name, rows):
        self.appliance.write(name, "\n".join(rows).encode("utf-8", "surrogateescape") + b"\n")

    def says(self, *actions):
        """Return the messages, as dicts, that one login with all rights gets to these actions, each a list of headers."""
        return self.tries(self.appliance.facts["tester_user"], self.appliance.facts["tester_secret"], *actions)[1:]

    def tries(self, user, secret, *actions, source="127.0.0.1"):
        asked = [["Action: Login", f"Username: {user}", f"Secret: {secret}", "Events: off"], *actions, ["Action: Logoff"]]
        with socket.create_connection(self.appliance.address, timeout=30, source_address=(source, 0)) as link:
            link.sendall("".join("\r\n".join(headers) + "\r\n\r\n" for headers in asked).encode())
            with link.makefile("rb") as stream:
                text = stream.read().decode("utf-8", "surrogateescape")
        return [dict(line.partition(": ")[::2] for line in message.split("\r\n")) for message in text.split("\r\n\r\n") if message]


@pytest.fixture
def asterisk(appliance):
    """Asked; everything is loaded as it was, afterwards."""
    yield Asked(appliance)
    appliance.restore()
    for command in RELOADS:
        appliance.cli(command)


@pytest.fixture(params=SUITES)
def own_asterisk(request):
    """Asked of an Asterisk of the test's own: both versions die of the next `dialplan reload` once they have read what is `deadly`."""
    started = start(request.param)
    yield Asked(started)
    started.stop()


def same(wanted, got):
    """Assert that two dicts hold the same, and show the first differences."""
    wrong = [(key, wanted.get(key), got.get(key)) for key in {**wanted, **got} if wanted.get(key) != got.get(key)]
    assert not wrong, f"{len(wrong)} of {len(wanted)}: {wrong[:5]}"


def typed(value):
    """A value as it comes out of the file's line."""
    return value.strip(BLANKS)


# ---- contexts -----------------------------------------------------------------------------------------------------------------------

def shown(extension):
    """`dialplan show` gives `1-00` and `100`, `_1xx` and `_1XX` one of their names."""
    return extension.replace("-", "").upper()


def test_contexts_are_read_as_the_dialplan_has_them(own_asterisk):
    asterisk = own_asterisk
    rows, places, wanted, wanted_parts = ["[general]"], {}, {}, Counter()
    for seed in range(400):
        variables = [(name, typed(value)) for name, value in generate.context(seed)]
        rows.append(f"[c{seed}]")
        for index, (name, value) in enumerate(variables):
            rows.append(f"{name} => {value}")
            places[len(rows)] = seed, index
        for step in Context(variables).steps:
            is_hint = step.priority == PRIORITY_HINT
            application = step.application
            if is_hint and not step.extension.startswith("_"):
                application = application.replace("${X}", "")   # read when it is loaded; there is no X
            whole = application.rstrip(" ") if is_hint else f"{application}({step.arguments})"
            wanted[seed, step.index] = shown(step.extension), step.cidmatch, step.priority, whole
            wanted_parts[f"c{seed}", shown(step.extension), "hint" if is_hint else str(step.priority), step.label, application,
                         "" if is_hint else step.arguments] += 1
    asterisk.write("extensions.conf", rows)
    asterisk.cli("dialplan reload")
    assert len(wanted) > 500
    same(wanted, steps_shown(asterisk.cli("dialplan show"), places))
    same(wanted_parts, parts_shown(asterisk.says(["Action: ShowDialPlan"])))


def steps_shown(text, places):
    got, extension, cidmatch = {}, None, None
    for line in text.split("\n"):
        match = DIALPLAN_LINE.fullmatch(line)
        assert match or "extensions.conf:" not in line, line
        if match:
            if match["extension"] is not None:
                extension, cidmatch = match["extension"], match["cidmatch"]
            got[places[int(match["line"])]] = shown(extension), cidmatch, int(match["priority"] or PRIORITY_HINT), match["application"]
    return got


def parts_shown(messages):
    return Counter(
        (each["Context"], shown(each["Extension"]), each["Priority"], each.get("ExtensionLabel"), each["Application"],
         each.get("AppData", ""))
        for each in messages if each.get("Event") == "ListDialplan" and each.get("Registrar") == "pbx_config" and "Priority" in each)


@pytest.mark.parametrize("lines, is_deadly", [
    (["5-5,hint,Custom:a", "100,1(top),NoOp", "100,top+5,NoOp", "5-5,1,NoOp"], True),
    (["_1XX,2,NoOp", "7,nowhere,NoOp", "_1xx,hint,Custom:a", "_1XX,5,NoOp"], True),
    (["55,hint,Custom:a", "100,1(top),NoOp", "100,top+5,NoOp", "55,1,NoOp"], False),
    (["5-5,hint,Custom:a", "100,1(top),NoOp", "100,6,NoOp", "5-5,1,NoOp"], False),
])
def test_what_makes_asterisk_die_at_the_next_reload_is_named_deadly(own_asterisk, lines, is_deadly):
    assert bool(Context([("exten", line) for line in lines]).deadly) == is_deadly
    for each in (lines, ["1,1,NoOp"]):
        own_asterisk.write("extensions.conf", ["[general]", "[a]", *(f"exten => {line}" for line in each)])
        own_asterisk.cli("dialplan reload")
    assert ("uptime" not in own_asterisk.cli("core show uptime")) == is_deadly


def test_hints_watch_the_devices_and_the_presence_we_find(asterisk):
    """Device b is in use, a and n are free; p is away. A hint whose devices or presence were cut otherwise would show another state."""
    lines = ["Custom:a&Custom:b,CustomPresence:p", "Custom:a,Custom:b,CustomPresence:p", "Custom:a& Custom:b",
             "Custom:a,CustomPresence:p,x",
             ",CustomPresence:p", "Custom:b(x),CustomPresence:p", "Custom:n&Custom:b", "Custom:n, CustomPresence:p", "Custom:n&custom:b"]
    asterisk.cli("module load func_presencestate.so")
    for command in ("devstate change Custom:a NOT_INUSE", "devstate change Custom:b INUSE", "devstate change Custom:n NOT_INUSE",
                    "presencestate change CustomPresence:p away"):
        asterisk.cli(command)
    asterisk.write("extensions.conf", ["[general]", "[h]", *(f"exten => {at},hint,{line}" for at, line in enumerate(lines))])
    asterisk.cli("dialplan reload")
    shown_hints = dict(re.findall(r"^([0-9]+)@h .*?(State:\w+ +Presence:\w*)", asterisk.cli("core show hints"), re.M))
    for at, line in enumerate(lines):
        hint = ExtensionLine.parse(f"{at},hint,{line}")
        assert ("State:InUse" in shown_hints[str(at)]) == ("custom:b" in [device.lower() for device in hint.devices]), line
        assert ("Presence:away" in shown_hints[str(at)]) == (hint.presence == "CustomPresence:p"), line


# ---- queue members ------------------------------------------------------------------------------------------------------------------

def cut(text):
    return text.encode("utf-8", "surrogateescape")[:79].decode("utf-8", "surrogateescape")


def test_queue_members_are_read_as_the_queue_has_them(asterisk):
    rows, wanted = ["[general]"], {}
    for queue, ringinuse in (("on", "yes"), ("off", "no")):
        rows += [f"[{queue}]", f"ringinuse = {ringinuse}"]
        for number in range(300):
            value = typed(generate.member(queue, number))
            rows.append("member => " + value.replace(";", "\\;"))
            member = QueueMember.parse(value, has_paused=asterisk.appliance.release > 16)
            rings = queue == "on" if member.rings_in_use is None else member.rings_in_use
            wanted[queue, cut(member.interface)] = (cut(member.shown_name), cut(member.watched_interface), member.penalty_number,
                                                    member.is_paused, member.wrapuptime_s, rings)
    asterisk.write("queues.conf", rows)
    asterisk.cli("queue reload all")
    same(wanted, members_shown(asterisk))


def members_shown(asterisk):
    """QueueStatus says all but ringinuse; `queue show` says that, in the same order."""
    rings = {}
    for line in asterisk.cli("queue show").split("\n"):
        if heading := re.match(r"(\w+) has ", line):
            rings[heading[1]] = flags = []
        elif match := re.search(r" \(ringinuse (enabled|disabled)\) ", line):
            flags.append(match[1] == "enabled")
    got = {}
    for each in asterisk.says(["Action: QueueStatus"]):
        if each.get("Event") == "QueueMember":
            got[each["Queue"], each["Location"]] = (each["Name"], each["StateInterface"], int(each["Penalty"]), each["Paused"] == "1",
                                                    int(each["Wrapuptime"]), rings[each["Queue"]].pop(0))
    return got


def test_flags_are_true_false_or_neither(asterisk):
    texts = ["yes", "true", "y", "t", "1", "on", "no", "false", "n", "f", "0", "off", "YES", "oN", "Off", "F", "ye", "yess", "2", "-1",
             "01", "ja", "enabled",
             "none", "tr", "fa", "o", "ye s", "ſ", "ofF"]
    rows = ["[general]"]
    for queue in ("yes", "no"):
        rows += [f"[{queue}]", f"ringinuse = {queue}", *(f"member => PJSIP/{at},0,,,{text}" for at, text in enumerate(texts))]
    asterisk.write("queues.conf", rows)
    asterisk.cli("queue reload all")
    got = members_shown(asterisk)
    for at, text in enumerate(texts):
        flags = got["yes", f"PJSIP/{at}"][-1], got["no", f"PJSIP/{at}"][-1]
        assert flags == (not is_false(text), is_true(text)), text


# ---- access lists -------------------------------------------------------------------------------------------------------------------

def test_access_lists_are_refused_and_read_as_asterisk_does(asterisk):
    lists = {f"l{seed}": [(name, typed(value)) for name, value in generate.access_list(seed)] for seed in range(500)}
    read = {name: AccessList.parse(variables) for name, variables in lists.items()}
    understood = [name for name, each in read.items() if each.understood]
    assert 100 < len(understood) < 400
    users_are_those(asterisk, lists, understood)
    asterisk.write("acl.conf", [row for name in understood for row in (f"[{name}]", *(f"{sense}={value}" for sense, value in lists[name]))])
    asterisk.cli("module reload acl")
    for name in understood[:80]:
        got = re.findall(r"[0-9]+: +(allow|deny) - (\S+)/(\S+)", asterisk.cli(f"acl show {name}"))
        assert [(sense == "allow", ipaddress.ip_address(address), ipaddress.ip_address(mask)) for sense, address, mask in got] == [
            tuple(rule) for rule in read[name].rules], lists[name]


def users_are_those(asterisk, lists, understood):
    """A user of manager.conf with a list that isn't understood is deleted, and the others stay."""
    rows = [asterisk.appliance._files[asterisk.appliance.config_dir / "manager.conf"].decode()]
    for name, variables in lists.items():
        rows += [f"[{name}]", "secret = x", "read = all", "write = all", *(f"{sense}={value}" for sense, value in variables)]
    asterisk.write("manager.conf", rows)
    asterisk.cli("manager reload")
    users = set(asterisk.cli("manager show users").split())
    assert users & set(lists) == set(understood)
    for name, variables in lists.items():
        assert all(str(AccessLine.parse(value, sense)) == value for sense, value in variables)


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.5"])
def test_an_access_list_lets_in_whom_we_say(asterisk, source):
    lists = {f"l{seed}": [(name, typed(value)) for name, value in generate.access_list(seed)] for seed in range(1000, 1200)}
    read = {name: AccessList.parse(variables) for name, variables in lists.items()}
    deciding = [name for name,
                each in read.items() if each.understood and any(rule.matches(ipaddress.ip_address(source)) for rule in each.rules)]
    others = [name for name, each in read.items() if each.understood and name not in deciding]
    names = deciding[:40] + others[:10]
    assert len(deciding) > 20 and {read[name].permits(source) for name in names} == {True, False}
    users_are_those(asterisk, {name: lists[name] for name in names}, names)
    with ThreadPoolExecutor(16) as pool:     # Asterisk makes a refused one wait a second
        answers = pool.map(lambda name: asterisk.tries(name, "x", source=source)[0]["Message"], names)
    same({name: read[name].permits(source) for name in names},
         {name: answer == "Authentication accepted" for name, answer in zip(names, answers)})


# ---- codecs -------------------------------------------------------------------------------------------------------------------------

def test_codec_lists_are_refused_and_read_as_asterisk_does(asterisk):
    known = CODECS if asterisk.appliance.release > 16 else CODECS_16
    rows, wanted = [asterisk.appliance._files[asterisk.appliance.config_dir / "pjsip.conf"].decode()], {}
    for seed in range(300):
        variables = [(name, typed(value)) for name, value in generate.codec_lists(seed)]
        assert all(str(CodecList.parse(value)) == value for _, value in variables)
        rows += [f"[e{seed}]", "type = endpoint", *(f"{name} = {value}" for name, value in variables)]
        effective = effective_codecs(variables, known)
        if not effective.problems:
            wanted[f"e{seed}"] = effective.names
    asterisk.write("pjsip.conf", rows)
    asterisk.cli("module reload res_pjsip.so")
    assert 100 < len(wanted) < 290
    messages = asterisk.says(["Action: PJSIPShowEndpoints"])
    assert {each["ObjectName"] for each in messages if each.get("Event") == "EndpointList"} == set(wanted)
    messages = asterisk.says(*(["Action: PJSIPShowEndpoint", f"Endpoint: {name}"] for name in wanted))
    same(wanted, {each["ObjectName"]: codecs_shown(each["Allow"]) for each in messages if each.get("Event") == "EndpointDetail"})


def codecs_shown(text):
    return () if text == "(nothing)" else tuple(text.strip("()").split("|"))
