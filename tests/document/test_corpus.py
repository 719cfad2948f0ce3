"""Every case of tests/corpus is read as the real Asterisk 22.10.1 read it, and comes back byte for byte.

`torture` are hand-made cases, `corners` those that our own reading of the source suggested; both were answered by 16.28.0, too. Answers
are kept in *_golden.json beside the folders (`tools/fuzz SUITE --record tests/corpus/corners`).
"""

import json
from pathlib import Path

import pytest

from agent.document import Configuration
from tests.document.memory import Memory, tree, tree_from_json

CORPUS = Path(__file__).parent.parent / "corpus"
#: facts.md 1.5, the rows marked †: the case, and why 16.28.0 answers otherwise
DIFFERS_IN_16 = {
    "filter-empty-value": "an empty value matches nothing",
    "filter-trailing-ampersand": "a trailing & is ignored",
    "filter-character-is-utf8": "filters see bytes",
    "filter-stray-byte": "filters see bytes",
    "glob-question-is-utf8": "globs see bytes",
}


ANSWERS = {collection: json.loads((CORPUS / f"{collection}_golden.json").read_text()) for collection in ("torture", "corners")}
CASES = [
    pytest.param(CORPUS / collection / name, answers, id=name)
    for collection in ANSWERS for name, answers in ANSWERS[collection].items()
]


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("folder, answers", CASES)
def test_a_case_is_read_as_asterisk_reads_it(folder, answers):
    configuration = Configuration.load("main.conf", Memory(files_of(folder)))
    assert tree(configuration) == tree_from_json(answers["22.10.1"])


@pytest.mark.parametrize("folder, answers", CASES)
def test_writing_without_an_edit_gives_the_same_bytes(folder, answers):
    files = files_of(folder)
    configuration = Configuration.load("main.conf", Memory(files))
    assert configuration.changed() == {}
    for path, document in configuration.documents.items():
        assert document.to_bytes() == files[path]


@pytest.mark.parametrize("folder, answers", CASES)
def test_the_two_versions_differ_only_where_we_know_why(folder, answers):
    assert (answers["16.28.0"] != answers["22.10.1"]) == (folder.name in DIFFERS_IN_16)


def test_each_case_has_an_answer():
    for collection, answers in ANSWERS.items():
        assert {folder.name for folder in (CORPUS / collection).iterdir()} == set(answers)
