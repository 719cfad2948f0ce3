"""The running Asterisk: the AMI client (`ami`), and making it take a change and looking whether it did (`reload`, `mailboxes`, `complaints`).

Called by `build` and, through what that hands in, by `apply`. It deliberately knows no file of Asterisk's but the log, and no HTTP.
"""
