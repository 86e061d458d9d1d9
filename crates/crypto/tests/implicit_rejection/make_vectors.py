#!/usr/bin/env python3
"""Makes vectors of PKCS#1 v1.5 decryption with implicit rejection, by another implementation: OpenSSL 3.2 or later.

Wants Python's `cryptography` over such an OpenSSL. Prints a line `key`, PKCS#8 in hex, then lines of a name, a ciphertext and
what OpenSSL makes of it. The random numbers come from a fixed seed; the keys are new each time.
"""

import hashlib
import sys

from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

RANDOM_PER_KEY = 40
drawn = 0


def random(count, without_zero=False):
    """Bytes that anybody can make again."""
    global drawn
    out = b""
    while len(out) < count:
        block = hashlib.sha256(b"casemate implicit rejection %d" % drawn).digest()
        drawn += 1
        out += block.replace(b"\0", b"\x55") if without_zero else block
    return out[:count]


def encoded_messages(size):
    """Named encoded messages of `size` bytes: right, and wrong in each way."""
    full = size - 11
    for length in (0, 1, 16, full - 1, full):
        fill = random(size - 3 - length, without_zero=True)
        yield f"right, {length} bytes", b"\0\2" + fill + b"\0" + random(length)
    yield "right, zeros in the message", b"\0\2" + random(size - 13, True) + b"\0" + bytes(10)
    right = b"\0\2" + random(size - 19, True) + b"\0" + random(16)
    yield "first byte 1", b"\1" + right[1:]
    for second in (0, 1, 3, 255):
        yield f"second byte {second}", right[:1] + bytes([second]) + right[2:]
    for place in range(2, 10):
        yield f"padding ends at {place}", right[:place] + b"\0" + right[place + 1 :]
    yield "no separator", b"\0\2" + random(size - 2, True)
    for number in range(RANDOM_PER_KEY):
        yield f"random {number}", b"\0" + random(size - 1)


def main():
    print(f"# Made by make_vectors.py with {backend.openssl_version_text()}.")
    for bits in (2048, 3072):
        key = rsa.generate_private_key(65537, bits)
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        numbers = key.public_key().public_numbers()
        size = bits // 8
        print(f"key | {der.hex()}")
        for name, message in encoded_messages(size):
            number = int.from_bytes(message, "big")
            if number >= numbers.n:
                continue
            ciphertext = pow(number, numbers.e, numbers.n).to_bytes(size, "big")
            plaintext = key.decrypt(ciphertext, padding.PKCS1v15())
            print(f"{name} | {ciphertext.hex()} | {plaintext.hex()}")


if __name__ == "__main__":
    sys.exit(main())
