"""Files from a dict, and views as plain lists: what the tests of this folder and tools/fuzz compare."""

import os


class Memory:
    """The Files of {path: bytes}; behaves as a folder on a disk would."""

    def __init__(self, files):
        self.files = files

    def read(self, path):
        return self.files.get(os.path.normpath(path)) if path and self._leads_there(path) else None

    def entries(self, folder):
        here = os.path.normpath(folder or ".")
        prefix = "" if here == "." else here + "/"
        return sorted({path[len(prefix):].split("/")[0] for path in self.files if path.startswith(prefix)})

    def _leads_there(self, path):
        """Every folder on the way must exist, also one that `..` leaves again."""
        parts = path.split("/")[:-1]
        return all(self.entries("/".join(parts[:i + 1])) for i, part in enumerate(parts) if part not in ("..", ".", ""))


def tree(configuration):
    """Given a Configuration, return Asterisk's answer: None if it rejects, else [[name, is_template, parents, [b"name=value", …]], …]."""
    if configuration.rejection:
        return None
    return [
        [each.name_bytes, each.is_template, b",".join(parent.name_bytes for parent in each.parents),
         [variable.name_bytes + b"=" + variable.value_bytes for variable in each.variables]]
        for each in configuration.categories
    ]


def tree_from_json(answer):
    """Given an answer as golden files keep it (latin-1), return it as `tree` does."""
    if answer["status"] != "ok":
        return None
    return [
        [each["name"].encode("latin-1"), each["template"], each["parents"].encode("latin-1"),
         ["=".join(pair).encode("latin-1") for pair in each["vars"]]]
        for each in answer["categories"]
    ]
