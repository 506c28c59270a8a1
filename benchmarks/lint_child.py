"""What `lint.py` measures `tunegate lint` beside, in a process of its own, by name: `yaml` or `start`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def main(what: str) -> None:
    """Parse the project's YAML and do nothing with it, or import what the command imports."""
    if what == "start":
        for name in ("tunegate.harness.cli.main", "tunegate.harness.lint.github", "tunegate.harness.lint.rules"):
            import_module(name)
        return
    import yaml

    for path in sorted(Path("fixtures").rglob("*.yaml")):
        yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)


if __name__ == "__main__":
    main(sys.argv[1])
