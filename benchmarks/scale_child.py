"""One measured process of `scale.py`; it imports nothing that what it runs does not.

    python benchmarks/scale_child.py REPORT.json pytest test_bare.py     # a module, as with python -m

Whatever happens, REPORT.json then says which heavy libraries were loaded.
"""

from __future__ import annotations

import json
import runpy
import sys
import traceback
from pathlib import Path

HEAVY = ("torch", "transformers", "peft", "sentence_transformers", "sklearn")


def main(report: str, what: str, *arguments: str) -> None:
    """Run it and write the report."""
    try:
        sys.argv = [what, *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    except Exception:
        traceback.print_exc()
        raise SystemExit(3) from None  # Python's own 1 would pass for a run that was judged
    finally:
        Path(report).write_text(
            json.dumps({"heavy": [name for name in HEAVY if name in sys.modules]}), encoding="utf-8"
        )


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # as with python -m from the checkout
    main(*sys.argv[1:])
