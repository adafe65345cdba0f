"""Prints the lists behind common-passwords.bin, one entry a line. See common-passwords.md.

usage: collect-common-passwords.py FOLDER   (the folder that the packages were unpacked into)
"""

import gzip
import itertools
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
here = pathlib.Path(__file__).parent
sys.path.insert(0, str(folder))
from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: E402

LONG = 15
PAIRED = 1150


def npm(package, name):
    return json.loads((folder / package / "package/src" / name).read_text())


django = gzip.open(folder / "django/contrib/auth/common-passwords.txt.gz", "rt").read().split()
passwords = [django, FREQUENCY_LISTS["passwords"], npm("language-common", "passwords.json")]
words = [
    *(FREQUENCY_LISTS[name] for name in FREQUENCY_LISTS if name != "passwords"),
    npm("language-en", "wikipedia.json"),
    npm("language-en", "firstnames.json"),
]
phrases = (here / "common-passphrases.txt").read_text().split()

# What is common among long passwords: two of the most common ones, one after the other.
top = sorted({p for p in FREQUENCY_LISTS["passwords"][:PAIRED] if len(p) >= 4})
pairs = (a + b for a, b in itertools.product(top, top) if a != b and len(a + b) >= LONG)

for entry in itertools.chain(*passwords, *words, phrases, pairs):
    print(entry)
