"""What every test may ask for: `box`, a whole agent on a temporary /etc/asterisk with a fake Asterisk, driven over WSGI."""

import dataclasses
import os

import hypothesis
import pytest

from tests.box import Box

hypothesis.settings.register_profile("quick", max_examples=60, deadline=None, database=None,
                                     suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("long", max_examples=20_000, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
hypothesis.settings.load_profile(os.environ.get("PBX_AGENT_HYPOTHESIS", "quick"))


@pytest.fixture
def box(tmp_path):
    """A Box; stopped at the end."""
    with Box(tmp_path) as made:
        yield made


@pytest.fixture
def changed_settings():
    """Return a function: (settings, section, **values) -> the settings with these values in that section."""
    return lambda settings, section, **values: dataclasses.replace(
        settings, **{section: dataclasses.replace(getattr(settings, section), **values)})
