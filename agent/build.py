"""The composition root: makes every object once and hands each what it needs; the only file that sees all rooms.

Called by `cli` (and by tests, with other settings). It deliberately decides nothing: what happens when is written in the objects.
"""

import contextlib
import importlib
import pkgutil
import socket
import threading
from dataclasses import dataclass

import agent.resources
from agent import VERSION, tls
from agent.access import loopback
from agent.access.accounts import Accounts
from agent.access.addresses import Addresses
from agent.access.digest import Digest
from agent.access.htpasswd import Passwords
from agent.access.throttle import Throttle
from agent.apply import Apply, Resources
from agent.asterisk.absent import NoAsterisk
from agent.asterisk.ami import Ami
from agent.asterisk.modules import MODULES
from agent.asterisk.reload import Reload
from agent.asterisk.spool import Spool
from agent.document import Configuration
from agent.server import Limits, Listener, Server
from agent.settings import Settings
from agent.transaction import Journal, Lock, Places, recover
from agent.web import Core, Gate, Web


@dataclass(frozen=True)
class Agent:
    """What changes files and tells Asterisk; enough for a command. `ami` is None where there is no Asterisk."""

    settings: Settings
    apply: Apply
    journal: Journal
    lock: Lock
    asterisk: Reload | NoAsterisk
    ami: Ami | None

    def recover(self):
        """Before the first write: make the state folder, undo what an earlier run left unfinished. Return what was done.

        Raises: Unavailable; Damaged
        """
        self.settings.state.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.lock.hold():
            return recover(self.journal)

    @contextlib.contextmanager
    def connected(self, wait_s=0.0):
        """Keep the connection to Asterisk for a `with` block, having waited so many seconds for it; going on without it is fine.

        Meanwhile Asterisk is told of what changed while it was away, as soon as it is back.
        """
        if self.ami is None:
            yield
            return
        wake, stopped = threading.Event(), threading.Event()
        self.ami.on_booted = wake.set
        thread = threading.Thread(target=self.apply.keep_catching_up, args=(wake, stopped), name="catch-up", daemon=True)
        self.ami.start()
        thread.start()
        try:
            self.ami.wait_booted(wait_s)
            yield
        finally:
            stopped.set()
            wake.set()
            thread.join()
            self.ami.close()


def build(settings, *, numbering=True):
    """Given Settings, return an Agent; nothing is started or written yet.

    numbering: whether entries typed by hand get ids, as REST needs them
    """
    state = settings.state.dir
    places = Places([settings.asterisk.config_dir, state, *settings.asterisk.other_dirs])
    journal = Journal(state / "journal", places, records=settings.limits.history_records, size_bytes=settings.limits.history_bytes,
                      spare=Apply.is_pending)
    lock = Lock(state / "lock")
    spool = Spool(settings.asterisk.spool_dir)
    ami = _ami(settings)
    asterisk = Reload(ami, settings.asterisk.log_dir / "messages") if ami else NoAsterisk()
    apply = Apply(
        folder=settings.asterisk.config_dir, places=places, directory_file=state / "directory.json", load=_loader(settings.asterisk.config_dir),
        journal=journal, lock=lock, lock_s=settings.limits.lock_s, asterisk=asterisk, resources=_resources(numbering),
        effects={"remove_mailbox": spool.remove_mailbox, "move_mailbox": spool.move_mailbox})
    return Agent(settings, apply, journal, lock, asterisk, ami)


def web(built):
    """Given an Agent, return the WSGI application over it."""
    def status():
        return {"version": VERSION, "asterisk": built.asterisk.state, "pending": built.apply.pending()}

    return Web(Core(read=built.apply.read, write=built.apply.write, status=status, options=built.settings), _gate(built.settings))


def serve(settings):
    """Given Settings, run the agent until SIGTERM. Raise Invalid before anything listens if it can't run safely."""
    addresses = Addresses.load(settings.access.acl)
    built = build(settings)
    built.recover()
    endpoint = None
    if settings.listen.https:
        tls.ensure_certificate(settings.tls.certificate, settings.tls.key)
        endpoint = tls.Endpoint(settings.tls.certificate, settings.tls.key)
    listeners = [Listener(*each, tls=False) for each in settings.listen.http] + [Listener(*each, tls=True) for each in settings.listen.https]
    server = Server(web(built), listeners, allows=addresses.allows, tls=endpoint, limits=_limits(settings.limits))
    with built.connected():
        server.run()


def _ami(settings):
    if settings.asterisk.ami is None:
        return None
    return Ami(settings.asterisk.ami, settings.asterisk.ami_user, _secret(settings.asterisk.ami_secret_file), timeout_s=settings.limits.ami_s)


def _secret(file):
    """Return a function that reads the secret anew at each login, so that a changed one needs no restart."""
    return lambda: file.read_text(encoding="utf-8").strip()


def _loader(config_dir):
    return lambda name, files: Configuration.load(name, files, folder=str(config_dir))


def _resources(numbering):
    """Find every resource module: what file needs which reload, and who numbers hand-made entries."""
    names = sorted(each.name for each in pkgutil.iter_modules(agent.resources.__path__))
    modules = [importlib.import_module(f"agent.resources.{name}") for name in names]
    claimed = {file: reload for module in modules for file, reload in getattr(module, "FILES", {}).items()}
    adopters = [(module.unadopted, module.adopt) for module in modules if hasattr(module, "adopt")]
    return Resources({**MODULES, **claimed}, adopters if numbering else [])


def _gate(settings):
    accounts = Accounts(Passwords(settings.access.users), Digest(settings.access.htdigest), Throttle(), users_rights=settings.access.users_rights)
    names = {"127.0.0.1", "::1", "localhost", socket.gethostname().lower(), socket.getfqdn().lower()}
    return Gate(accounts, loopback=settings.access.loopback, own_names=names, peer_is_root=_peer_is_root)


def _peer_is_root(environ):
    uid = loopback.owner(environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"]), to_port=int(environ["SERVER_PORT"]))
    return uid == 0


def _limits(limits):
    return Limits(threads=limits.threads, connections=limits.connections, connections_per_address=limits.connections_per_address,
                  body_bytes=limits.body_bytes, header_bytes=limits.header_bytes, handshake_s=limits.handshake_s, idle_s=limits.idle_s)
