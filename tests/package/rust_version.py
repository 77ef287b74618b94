#!/usr/bin/env python3
"""Fails if a dependency of a package wants a newer Rust than the package says, other than those that are named.

Usage: rust_version.py FOLDER CRATE..., where cargo could choose older versions that fit.
"""
import json
import subprocess
import sys

folder, *known = sys.argv[1:]
command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
command += ["--filter-platform", "x86_64-unknown-linux-gnu"]
metadata = json.loads(subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout)


def version(package):
    return [int(part) for part in (package["rust_version"] or "0").split(".")][:2]


root = metadata["resolve"]["root"]
used = {node["id"] for node in metadata["resolve"]["nodes"]}
packages = {package["id"]: package for package in metadata["packages"] if package["id"] in used}
newer = {p["name"]: p["rust_version"] for p in packages.values() if version(p) > version(packages[root])}
print(f"newer than Rust {packages[root]['rust_version']}: {newer}")
if sorted(newer) != sorted(known):
    sys.exit(f"expected: {known}")
