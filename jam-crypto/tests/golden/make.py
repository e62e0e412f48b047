#!/usr/bin/env python3
"""Seals session ids and payloads of format version 1 after the crate's docs alone, with Python's `cryptography`.

v1-python.txt came from here, with fixed salts; once jam is released it is never made anew. v1-rust.txt was sealed by jam-crypto itself.
"""

import base64
import hashlib

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


def extract(salt, key):
    mac = hmac.HMAC(salt, hashes.SHA256())
    mac.update(key)
    return mac.finalize()


def seal(key, purpose, salt, fields, plain):
    header = b"\x01" + extract(b"jam-crypto v1 hint", key)[:4] + salt
    message_key = HKDFExpand(hashes.SHA256(), 32, salt).derive(extract(purpose, key))
    bound = header + b"".join(len(field).to_bytes(8, "big") + field for field in fields)
    return header + AESGCM(message_key).encrypt(salt[12:], plain, bound)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def salt(number):
    return hashlib.sha256(b"salt %d" % number).digest()[:24]


KEYS = [base64.urlsafe_b64encode(hashlib.sha256(b"golden key %d" % n).digest()).decode() for n in (1, 2)]
SECRET = base64url(bytes(range(16)))
SESSIONS = [
    ("user1", "565df195-b963-4ebb-8978-318998ef191c", "t3uznk"),
    ("a:b/../c d\t\u202eé🦀", "laptop_1", "t3uznk-2s0"),
    ("k" * 512, "x" * 64, "3w5e11264sgsf-3w5e11264sgsf"),
]
PAYLOADS = [
    ("data", b'{"role":"admin"}'),
    ("data", b""),
    ("data", bytes(range(256))),
    ("grace note", b"note"),
]

number = 0
print("# id <key> <inner id, base64url> <public id>")
print("# payload <key> <domain> <session key, base64url> <record id, base64url> <handle> <life or none> "
      "<plaintext, base64url> <sealed, base64url>")
for key_text in KEYS:
    key = base64.urlsafe_b64decode(key_text)
    for session, handle, life in SESSIONS:
        inner = f"{session}:{handle}.{life}.{SECRET}".encode()
        number += 1
        public = "J$_" + base64url(seal(key, b"jam-crypto v1 id", salt(number), [], inner))
        print("id", key_text, base64url(inner), public)
    for (session, handle, life), (domain, plain) in zip(SESSIONS + [("user1", "opaque", None)], PAYLOADS):
        number += 1
        record = f"{handle}.{life}.{SECRET}" if life else f"{session}:{handle}"
        fields = [domain.encode(), session.encode(), record.encode(), handle.encode(), (life or "").encode()]
        sealed = seal(key, b"jam-crypto v1 data", salt(number), fields, plain)
        label = domain.replace(" ", "-")
        print("payload", key_text, label, base64url(session.encode()), base64url(record.encode()), handle,
              life or "none", base64url(plain) or "empty", base64url(sealed))
