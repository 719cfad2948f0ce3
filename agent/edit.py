"""What a reader and a writer hold: a Snapshot of the files as they were read once, and the Edit that changes a copy of them.

Made by `apply`, handed to the dialects' functions, which pass it to the resources. Both parse a file when somebody asks for it, and not
before. It deliberately writes nothing: an Edit ends as a dict of paths and new bytes.
"""

import os

from agent import transaction
from agent.directory import Directory
from agent.errors import Conflict, Fault, Forbidden, TooLarge, Unavailable

LARGEST_BYTES = 32 << 20     # half of what is read at most: what was written must be readable


class Files:
    """A configuration folder as `document` reads it; remembers every reading, so that a change by somebody else is noticed.

    folder: absolute path that relative names resolve against. places: where files may lie; what lies elsewhere reads as missing.
    directory_file: the one file of our own state folder that is read; nothing else there is anybody's configuration, whatever includes it.
    """

    def __init__(self, folder, places, directory_file):
        self._folder = os.path.abspath(folder)
        self._places = places
        self._directory_file = os.path.abspath(directory_file)
        self._state = os.path.realpath(os.path.dirname(self._directory_file))
        self.readings = {}
        self._entries = {}

    def path(self, name):
        return os.path.normpath(os.path.join(self._folder, name))

    def name(self, name):
        """Return the plainest spelling of a file's name: relative to the folder where it lies in it."""
        path = self.path(name)
        return os.path.relpath(path, self._folder) if path.startswith(self._folder + os.sep) else path

    def read(self, name):
        """Return the file's bytes, or None if it's missing or lies where it may not. Raise Unavailable while somebody rewrites it."""
        path = self.path(name)
        try:
            if self.is_our_own(path):
                return None
            if path not in self.readings:
                self.readings[path] = transaction.read(path, self._places)
        except Forbidden:
            return None
        return self.readings[path].data

    def is_our_own(self, path):
        """Return whether a path leads into our state folder. Raise Forbidden, Unavailable if it leads nowhere."""
        return os.path.commonpath([self._places.resolve(path), self._state]) == self._state

    def must_read(self, name):
        """Return the file's bytes, or None if there is no such file. Raise Unavailable for one that is there and can't be read.

        For what isn't included but asked for by name: taken for missing, it would seem that all in it had gone.
        """
        path = self.path(name)
        try:
            if path != self._directory_file and self.is_our_own(path):
                raise Forbidden("it is a file of pbx-agent's own", where=path)
            if path not in self.readings:
                self.readings[path] = transaction.read(path, self._places)
        except Forbidden as error:
            raise Unavailable(error.message, where=error.where) from error
        return self.readings[path].data

    def entries(self, folder):
        """Return the names in a folder, [] if there is none, or it lies where nothing may be read."""
        path = self.path(folder)
        if path not in self._entries:
            self._entries[path] = _names(path) if self._is_allowed(path) else []
        return self._entries[path]

    def _is_allowed(self, path):
        try:
            return bool(self._places.resolve(path))
        except Fault:
            return False

    def stale(self):
        """Return whether a file or folder that was read has changed since: one stat a file."""
        return (any(transaction.changed(each) for each in list(self.readings.values()))      # another reader may be reading on
                or any(names != (_names(path) if self._is_allowed(path) else []) for path, names in list(self._entries.items())))


def _names(path):
    try:
        return sorted(name for name in os.listdir(path) if not (name.startswith(".") and ".pbx-agent-" in name))      # a change's own, while it is open
    except OSError:
        return []


class Snapshot:
    """Configurations and directory as they were at one moment; nobody changes it."""

    def __init__(self, files, load, directory_file):
        """files: Files. load: (name, files) -> Configuration, handed in. directory_file: path of directory.json."""
        self._files = files
        self._load = load
        self.directory_file = os.path.abspath(directory_file)
        self._configurations = {}
        self._directory = None
        self._derived = {}

    def configuration(self, name):
        """Return the Configuration of that file name, with all it includes; one file is one Configuration however its path is spelled."""
        name = self._files.name(name)
        if name not in self._configurations:
            self._files.must_read(name)
            self._configurations[name] = self._load(name, self._files)
        return self._configurations[name]

    @property
    def directory(self):
        if self._directory is None:
            self._directory = Directory(self._files.must_read(self.directory_file))
        return self._directory

    def derived(self, function):
        """Return function(self), computed once for this snapshot: for what a resource makes of a whole file, such as an index."""
        if function not in self._derived:
            self._derived[function] = function(self)
        return self._derived[function]

    def stale(self):
        return self._files.stale()


class Staged:
    """Files with some bytes put over them: what the next parse shall see."""

    def __init__(self, files):
        self._files = files
        self.data = {}

    def read(self, name):
        path = self._files.path(name)
        return self.data[path] if path in self.data and not self._files.is_our_own(path) else self._files.read(name)

    def must_read(self, name):
        path = self._files.path(name)
        return self.data[path] if path in self.data else self._files.must_read(name)

    def name(self, name):
        return self._files.name(name)

    def entries(self, folder):
        path = self._files.path(folder)
        added = {os.path.basename(each) for each in self.data if os.path.dirname(each) == path}
        return sorted(added.union(self._files.entries(folder)))


class Edit(Snapshot):
    """The open edit: a snapshot that may be changed, what Asterisk must show afterwards, and what else shall happen then."""

    def __init__(self, files, load, directory_file):
        super().__init__(Staged(files), load, directory_file)
        self._disk = files
        self.files_changed = set()
        self.modules = set()
        self.expectations = {}
        self.effects = []

    def derived(self, function):
        """Return function(self), computed anew: an edit may have changed what it looks at."""
        return function(self)

    def expect(self, kind, key, properties):
        """Say what Asterisk must show of an object after the reload: {AMI field: text}, or None for absent. The last word on it counts."""
        self.expectations[kind, key] = properties

    def afterwards(self, effect, *arguments):
        """Name what shall be done once Asterisk has taken the change, and can't be undone, such as removing a mailbox's messages.

        arguments: plain values, since a change that waits for Asterisk keeps them in its record.
        """
        self.effects.append((effect, *arguments))

    def attempt(self, function):
        """Run one edit and stage what it changed; if it fails, everything is as before it, and its error is raised."""
        before = dict(self._files.data), set(self.files_changed), set(self.modules), dict(self.expectations), list(self.effects)
        try:
            result = function(self)
            self._stage()
            return result
        except BaseException:       # whatever it was, a half-done edit must not stay for the next one in the batch
            self._files.data, self.files_changed, self.modules, self.expectations, self.effects = before
            self._configurations.clear()
            self._directory = None
            raise

    def file(self, path):
        """Return the bytes of a file as they are in this edit, or None: for undo, which knows no meaning."""
        return self._files.read(path)

    def put(self, path, data):
        """Stage the whole bytes of a file, None to remove it; what was parsed of it before is forgotten."""
        self._stage()
        self._configurations.clear()
        self._files.data[self._disk.path(path)] = data

    def reload(self, modules):
        """Name modules of Asterisk that must read their files again, beside those whose configurations are seen to change."""
        self.modules.update(modules)

    def _stage(self):
        for name, configuration in self._configurations.items():
            texts = {path: document.to_bytes() for path, document in configuration.documents.items()}
            changed = {path: data for path, data in texts.items() if data != self._files.read(path)}
            if changed and configuration.rejection:
                where, reason, *_ = configuration.rejection
                raise Conflict(f"Asterisk would refuse {name}: {reason}; that must be mended first, by hand", where=str(where))
            if changed:
                self.files_changed.add(name)
            self._files.data.update((self._disk.path(path), data) for path, data in changed.items())
        if self._directory is not None and self._directory.changed:
            self._files.data[self.directory_file] = self._directory.to_bytes()

    def changed(self):
        """Return what shall be written: list of (Reading, new bytes), files whose bytes stay the same left out."""
        staged = self._files.data.items()
        for path, data in staged:
            if data is not None and len(data) > LARGEST_BYTES:
                raise TooLarge(f"it would be larger than {LARGEST_BYTES >> 20} MB", where=path)
        return [(self._disk.readings[path], data) for path, data in staged if self._disk.must_read(path) != data]
