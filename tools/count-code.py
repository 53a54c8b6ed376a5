#!/usr/bin/env python3
"""Lines of code of each crate: Rust below crates/*/src, without tests, blank lines and comments.

Usage: tools/count-code.py [ROOT]. A file named tests.rs or in a folder tests is a test, as is what
follows `#[cfg(test)]` before a module with a body. The crate fixtures is for tests only.
"""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def without_test_modules(text):
    while True:
        found = re.search(r"#\[cfg\(test\)\]\s*(#\[[^\n]*\]\s*)*(pub(\([a-z]+\))? )?mod \w+ \{", text)
        if not found:
            return re.sub(r"#\[cfg\(test\)\]\s*(pub(\([a-z]+\))? )?mod \w+;", "", text)
        end = re.compile(r"^\}$", re.M).search(text, found.end())
        text = text[: found.start()] + (text[end.end():] if end else "")


def code_lines(text):
    lines = (line.strip() for line in without_test_modules(text).splitlines())
    return sum(1 for line in lines if line and not line.startswith("//"))


total = 0
for crate in sorted((root / "crates").iterdir()):
    if crate.name == "fixtures":
        continue
    files = [
        path
        for path in (crate / "src").rglob("*.rs")
        if path.name != "tests.rs" and "tests" not in path.relative_to(crate).parts
    ]
    count = sum(code_lines(path.read_text()) for path in files)
    total += count
    print(f"{count:7} {crate.name}")
print(f"{total:7} in all")
