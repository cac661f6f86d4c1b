"""Verifies a Provost ledger with nothing of Provost: Python's standard library alone.

Usage: verify_ledger.py LEDGER_FOLDER PUBLIC_KEY_FILE

Reads the entry bundles, computes the Merkle root (RFC 6962, section 2.1), and checks it
against the signed checkpoint (C2SP signed-note and tlog-checkpoint; Ed25519 by RFC 8032).
Prints `OK SIZE` and exits 0, or says what is wrong and exits 1.
"""

import base64
import hashlib
import pathlib
import sys

# --- Ed25519 (RFC 8032, section 5.1): verification only, in the plainest form.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def recover_x(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P:
        raise ValueError("not a point of the curve")
    return P - x if x & 1 != sign else x


def point(data):
    number = int.from_bytes(data, "little")
    y = number & (2**255 - 1)
    x = recover_x(y, number >> 255)
    return (x, y, 1, x * y % P)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, p):
    q = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            q = add(q, p)
        p = add(p, p)
        scalar >>= 1
    return q


def signed(key, message, signature):
    base_y = 4 * pow(5, P - 2, P) % P
    base = point(base_y.to_bytes(32, "little"))
    r, s = point(signature[:32]), int.from_bytes(signature[32:], "little")
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    left = multiply(s, base)
    right = add(r, multiply(int.from_bytes(digest, "little") % ORDER, point(key)))
    same = lambda i: (left[i] * right[2] - right[i] * left[2]) % P == 0
    return s < ORDER and same(0) and same(1)


# --- The ledger.


def checkpoint(folder, key_text):
    """The size and the root that the key signed."""
    name, key_id, key = key_text.strip().split("+", 2)
    key = base64.b64decode(key)
    if hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() != key_id:
        raise ValueError("the public key does not have the id it says")
    text, _, signatures = (folder / "checkpoint").read_text().partition("\n\n")
    origin, size, root = text.split("\n")[:3]
    if origin != name:
        raise ValueError("the checkpoint is of another ledger")
    for line in signatures.splitlines():
        dash, signer, value = line.split(" ")
        value = base64.b64decode(value)
        if signer == name and value[:4].hex() == key_id:
            if signed(key[1:], (text + "\n").encode(), value[4:]):
                return int(size), base64.b64decode(root)
    raise ValueError("the checkpoint is not signed with this key")


def entries(folder, size):
    """The first `size` entries, from the bundles of 256."""
    for bundle in range((size + 255) // 256):
        digits = f"{bundle:03d}"
        digits = digits.zfill((len(digits) + 2) // 3 * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        name = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
        count = min(256, size - bundle * 256)
        path = folder / "tile/entries" / name
        if not path.is_file():
            path = folder / "tile/entries" / (name + f".p/{count}")
        data = path.read_bytes()
        for _ in range(count):
            length = int.from_bytes(data[:2], "big")
            yield data[2 : 2 + length]
            data = data[2 + length :]


def root_of(leaves):
    """RFC 6962, section 2.1: the left subtree is the largest power of two that fits."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = root_of(leaves[:split]), root_of(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def main():
    folder = pathlib.Path(sys.argv[1])
    size, root = checkpoint(folder, pathlib.Path(sys.argv[2]).read_text())
    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries(folder, size)]
    if root_of(leaves) != root:
        raise ValueError("the entries are not those that were signed")
    print("OK", size)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, IndexError) as error:
        sys.exit(f"NOT VERIFIED: {error}")
