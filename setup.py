"""Maps the folders at the top into the one import package; the links under src/ serve mypy and import-linter alone."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = ("harness", "trainers", "suites")

if missing := [folder for folder in FOLDERS if not Path(folder, "__init__.py").is_file()]:
    sys.exit(f"tunegate: expected the folders {', '.join(FOLDERS)} beside setup.py, found no {', no '.join(missing)}")

setup(
    package_dir={"tunegate": "src/tunegate"} | {f"tunegate.{folder}": folder for folder in FOLDERS},
    packages=["tunegate"]
    + [f"tunegate.{package}" for folder in FOLDERS for package in find_packages(include=[folder, f"{folder}.*"])],
)
