"""Judges a log with pymerkle: leaf hashes, the roots of all sizes, and the hashes of every inclusion proof."""

import sys
from pathlib import Path

from pymerkle import InmemoryTree
from pymerkle.hasher import MerkleHasher

folder = Path(sys.argv[1])
entries = [bytes.fromhex(line) for line in (folder / "entries").read_text().split()]
tree = InmemoryTree(algorithm="sha256")
hasher = MerkleHasher("sha256")
root_of = getattr(tree, "get_root", None) or tree.get_state
for entry in entries:
    tree.append_entry(entry)

agreed = 0
for line in (folder / "right").read_text().splitlines():
    what, first, size, start, root, hashes = line.split()
    first, size = int(first), int(size)
    hashes = [] if hashes == "-" else hashes.split(",")
    if root_of(size).hex() != root:
        sys.exit(f"another root of {size}: {root}")
    if what == "inclusion":
        if hasher.hash_buff(entries[first]).hex() != start:
            sys.exit(f"another leaf hash at {first}")
        proof = tree.prove_inclusion(first + 1, size).serialize()["path"]
        # Theirs has the leaf among its hashes, and orders them as its own walk goes.
        same = sorted(proof) == sorted([start] + hashes)
    else:
        if root_of(first).hex() != start:
            sys.exit(f"another root of {first}: {start}")
        # Theirs has another form than RFC 6962's; it is judged by the two roots.
        same, proof = True, []
    if not same:
        sys.exit(f"another proof: {line}\n{proof}")
    agreed += 1
print(f"agreed: {agreed} proofs")
