"""The running Asterisk: the AMI client (`ami`), and making it take a change and looking whether it did (`reload`, with `mailboxes` for
reading back and `complaints` for its log; `absent` where there is none); and its spool (`spool`).

Called by `build` and, through what that hands in, by `apply`. It deliberately knows no configuration file and no HTTP.
"""
