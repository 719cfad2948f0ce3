"""The things a PBX has, each a module of pure edits: `find, get, create, update, delete` on an open edit; no disk, HTTP or Asterisk.

To add a resource, copy `voicemails.py`. A module's `FILES` names the configuration files it edits and the module of Asterisk that reads
each; `adopt`, if it has one, numbers entries that a person typed by hand. Both are found by `build`; nothing is registered elsewhere.
"""
