"""What Asterisk has no place for: people, the ids of things, and the links between them; handed to the transaction as bytes.

`apply` opens it from the bytes of `directory.json` and stages what `to_bytes` returns like any other file, so people and configuration
change together or not at all. TinyDB holds the tables; its own file storage loses data when two write or a write is cut (it truncates
in place), so the storage here only remembers. It deliberately knows no rule about any table: those are the resources'.
"""

import json

from tinydb import TinyDB, where
from tinydb.storages import Storage

from agent.errors import Conflict, Damaged, NotFound

SEQUENCES = "sequences"


class Memory(Storage):
    """TinyDB storage that keeps the tables in memory: {table: {document number: row}}."""

    def __init__(self, tables):
        self.tables = tables

    def read(self):
        return self.tables

    def write(self, data):
        self.tables = data


class Directory:
    """Tables of rows; a row is a dict with an integer `id` that is never given twice in its table, not even after a deletion."""

    def __init__(self, data=None):
        """Given the bytes of directory.json, or None for a first start, open it. Raise Damaged if they aren't ours."""
        try:
            tables = {} if data is None else dict(json.loads(data).items())
            self._tables = TinyDB(tables, storage=Memory)
            for name in tables:
                self.rows(name)
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
            raise Damaged("isn't a directory of pbx-agent; the journal in the state folder has older ones", where="directory.json") from error
        self._indexes = {}
        self.changed = False

    def to_bytes(self):
        """Return the tables as JSON bytes, one row a line, so that a person and a diff can read them."""
        blocks = []
        for name in sorted(self.tables()):
            rows = sorted(self._tables.table(name).all(), key=lambda row: row.doc_id)
            lines = ",\n".join(f'  "{row.doc_id}": {json.dumps(row, sort_keys=True)}' for row in rows)
            if rows:
                blocks.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
        return ("{\n" + ",\n".join(blocks) + "\n}\n").encode()

    def rows(self, table):
        """Return the table's rows, oldest first: list of dict."""
        return sorted((dict(row) for row in self._tables.table(table).all()), key=lambda row: row["id"])

    def find(self, table, /, **wanted):
        """Return the first row whose one named column has the wanted value, or None: e.g. find("users", id=3)."""
        (column, value), = wanted.items()
        index = self._indexes.get((table, column))
        if index is None:       # made whole before it is shown: several readers share one Directory
            index = {row.get(column): row for row in reversed(self.rows(table))}
            self._indexes[table, column] = index
        row = index.get(value)
        return dict(row) if row else None

    def get(self, table, number):
        """Return the row with that id. Raise NotFound."""
        row = self.find(table, id=number)
        if row is None:
            raise NotFound(f"there is no {number} in {table}", where="directory.json")
        return row

    def add(self, table, row):
        """Add a row, and return its id: the next of the table's own sequence."""
        return self.add_all(table, [row])[0]

    def add_all(self, table, rows):
        """Add several rows in one step (ten thousand mailboxes at a first start), and return their ids in order."""
        sequence = self.find(SEQUENCES, table=table)
        last = sequence["last"] if sequence else 0
        numbers = list(range(last + 1, last + 1 + len(rows)))
        self._tables.table(table).insert_multiple({**row, "id": number} for row, number in zip(rows, numbers))
        if sequence:
            self._tables.table(SEQUENCES).update({"last": last + len(rows)}, where("table") == table)
        else:
            self._tables.table(SEQUENCES).insert({"id": len(self.rows(SEQUENCES)) + 1, "table": table, "last": last + len(rows)})
        self._touched()
        return numbers

    def update(self, table, number, changes):
        """Change columns of the row with that id; nothing is touched when they are so already."""
        row = self.get(table, number)
        if {**row, **changes} != row:
            self._tables.table(table).update(changes, where("id") == number)
            self._touched()

    def remove(self, table, number):
        """Remove the row with that id; the id stays used. Raise NotFound."""
        self.get(table, number)
        self._tables.table(table).remove(where("id") == number)
        self._touched()

    def revert(self, before, after):
        """Given the Directory before and after some change, put back each row that it changed; ids it gave stay used.

        Raises: Conflict if such a row has changed since.
        """
        for table in sorted({*before.tables(), *after.tables()} - {SEQUENCES}):
            for number in sorted({row["id"] for row in (*before.rows(table), *after.rows(table))}):
                old, new = before.find(table, id=number), after.find(table, id=number)
                if old != new:
                    self._replace(table, number, new, old)

    def _replace(self, table, number, expected, row):
        if self.find(table, id=number) != expected:
            raise Conflict(f"{number} in {table} has changed since", where="directory.json")
        self._tables.table(table).remove(where("id") == number)
        if row:
            self._tables.table(table).insert(row)
        self._touched()

    def tables(self):
        """Return the names of the tables."""
        return set(self._tables.tables())

    def _touched(self):
        self._indexes.clear()
        self.changed = True
