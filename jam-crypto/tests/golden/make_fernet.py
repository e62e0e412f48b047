#!/usr/bin/env python3
"""Makes ids and payloads as Python's jamlib does with `is_session_crypt`, with Python's `cryptography` (50.0).

fernet-python.txt came from here, with fixed times and IVs, once; it is never made anew. fernet-rust.txt was sealed by
jam-crypto itself; `make_fernet.py check < fernet-rust.txt` opens it. The tokens of fernet-spec.txt are those of the
Fernet spec (generate.json, invalid.json), and are opened here as well.
"""

import base64
import hashlib
import pathlib
import sys

from cryptography.fernet import Fernet, InvalidToken


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode() or "empty"


def unbase64url(text):
    return b"" if text == "empty" else base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check(lines):
    opened = 0
    for line in lines:
        if not line.startswith("#"):
            _kind, key, *_session, plain, sealed = line.split()
            assert sealed.startswith("J$_")
            assert Fernet(key).decrypt(sealed[3:]) == unbase64url(plain), line
            opened += 1
    print(opened, "opened")


def check_spec(lines):
    for line in lines:
        if line.startswith("#"):
            continue
        kind, key, *rest, token = line.split()
        try:
            plain = Fernet(key).decrypt(token)
            if kind == "valid":
                seconds, iv, hello = rest
                assert plain == hello.encode()
                assert Fernet(key)._encrypt_from_parts(plain, int(seconds), bytes.fromhex(iv)) == token.encode()
            else:
                print("python opens", kind, rest)
        except InvalidToken:
            assert kind == "invalid", line


if sys.argv[1:] == ["check"]:
    check(sys.stdin)
    check_spec(pathlib.Path(__file__).with_name("fernet-spec.txt").read_text().splitlines())
    sys.exit()

KEYS = [base64.urlsafe_b64encode(hashlib.sha256(b"golden key %d" % n).digest()).decode() for n in (1, 2)]
IDS = [
    ("user1", "565df195-b963-4ebb-8978-318998ef191c"),
    ("a:b/../c d\t\u202eé🦀", "laptop_1"),
    ("k" * 512, "x" * 64),
]
DATA = [b"{}", b'{"role": "admin"}', '{"name": "\\u00e9","n\u00e4he": "🦀"}'.encode(), b'{"a": "' + b"x" * 4096 + b'"}']

print("# id <key> <session key, base64url> <unique> <plaintext, base64url> <public id>")
print("# payload <key> <plaintext, base64url> <sealed>")
number = 0
for key in KEYS:
    def seal(plain):
        global number
        number += 1
        iv = hashlib.sha256(b"iv %d" % number).digest()[:16]
        return "J$_" + Fernet(key)._encrypt_from_parts(plain, 1_700_000_000 + number, iv).decode()

    for session, unique in IDS:
        inside = f"{session}:{unique}".encode()
        print("id", key, base64url(session.encode()), unique, base64url(inside), seal(inside))
    for data in DATA:
        print("payload", key, base64url(data), seal(data))
