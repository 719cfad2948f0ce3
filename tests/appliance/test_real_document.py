"""What we read is what the real Asterisk 22 and 16 read: every file Debian ships, the hand-made cases, and generated ones with edits.

The long run is `tools/fuzz SUITE --files 100000 --edits 20000`; here it is a short one, other files at each run, the seed printed.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.document import Configuration
from tests.appliance.conftest import SUITES, start_or_skip
from tests.appliance.oracle import Asterisk
from tests.document.memory import Memory, tree, tree_from_json
from tests.document.test_corpus import CORPUS, files_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=SUITES)
def oracle(request):
    """A scratch Asterisk of each suite."""
    start_or_skip(request.param)
    asterisk = Asterisk(request.param)
    yield asterisk
    asterisk.stop()


def test_every_file_of_debians_asterisk_config_is_read_alike_and_comes_back_byte_for_byte(oracle):
    shipped = Path(oracle.about["root"]) / "etc/asterisk"
    files = {str(path.relative_to(shipped)): path.read_bytes() for path in shipped.rglob("*") if path.is_file()}
    names = [name for name in files if name.endswith(".conf")]
    assert len(names) > 80
    for name in names:
        configuration = Configuration.load(name, Memory(files), folder=oracle.folder)
        assert tree(configuration) == oracle.tree(files, name), name
        assert configuration.changed() == {} and all(each.to_bytes() == files[path] for path, each in configuration.documents.items())


@pytest.mark.parametrize("collection", ["torture", "corners"])
def test_the_kept_answers_are_what_asterisk_says_today(oracle, collection):
    version = oracle.about["version"].split("~")[0].split("+")[0]
    for name, answers in json.loads((CORPUS / f"{collection}_golden.json").read_text()).items():
        if version in answers:
            assert oracle.tree(files_of(CORPUS / collection / name)) == tree_from_json(answers[version]), name


@pytest.mark.parametrize("suite", SUITES)
def test_generated_files_and_random_edits_are_read_alike(suite, tmp_path):
    start_or_skip(suite)
    seed = int(time.time())
    ran = subprocess.run([sys.executable, ROOT / "tools/fuzz", suite, "--files", "2000", "--edits", "400", "--seed", str(seed), "--keep", tmp_path],
                         capture_output=True, text=True, timeout=300)
    print(ran.stdout)
    assert ran.returncode == 0, f"seed {seed}\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}"
    assert "2000 files" in ran.stdout and " 0 differences" in ran.stdout
