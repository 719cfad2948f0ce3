"""pbx-agent: edits Asterisk's own configuration files losslessly, applies the change, proves it, and can always go back.

To add a resource, start in `resources/`, then `dialects/<dialect>/`, then `tests/scenarios/<dialect>/`: three files.
"""

VERSION = "0.1.0"
