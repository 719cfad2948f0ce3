"""The wire formats, each a folder: a dialect is data (names, envelope, statuses) and small functions; called by `web`.

To add a wire format, copy `xivo10/`: its `__init__.py` declares DIALECT, each other module declares ROUTES. All are found at start;
a module that fails to import, or a route without a right, stops the start. It deliberately knows no bottle, no apply, no access.
"""
