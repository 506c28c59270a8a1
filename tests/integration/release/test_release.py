"""`tunegate verify` as a process."""

from __future__ import annotations

import subprocess
import sys

from tests.unit.release.test_release import released, served  # noqa: F401  (fixtures)


def test_verify_needs_no_torch(released):  # noqa: F811
    code = (
        "import sys; from pathlib import Path; from tunegate.harness.release.manifest import verify_release\n"
        "verify_release(Path(sys.argv[1]))\n"
        "print(sorted({'torch', 'transformers', 'peft', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, released], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
