"""Who is calling, and what they may do: addresses, accounts, rights, and the brake on guesses.

`server` asks `addresses` at accept; `web` asks `accounts` once per request, before any routing, and `rights` once per route; `build`
makes the objects. Everything here refuses what it doesn't understand. It deliberately knows no HTTP status and no route.

  watched.py    a small file, read again when it changes
  addresses.py  acl.conf: which addresses may connect
  htpasswd.py   users.ht: names and hashed passwords (only importer of passlib)
  digest.py     an htdigest file: Digest authentication for clients that know nothing else
  throttle.py   the growing delay after wrong guesses
  rights.py     Wazo's ACL language
  accounts.py   all of the above as one answer: a Caller, or a refusal and its log line
"""
