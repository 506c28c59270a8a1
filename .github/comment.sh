#!/usr/bin/env bash
# Says what gate.sh left in $OUT on the pull request and in the summary, with the tunegate of a Python: comment.sh PYTHON
# With $PAGE, where the page will be served, it links to single cases.
set -euo pipefail
shopt -s nullglob
decisions=("$OUT"/*.decision.json)
if [ ${#decisions[@]} -gt 0 ]; then "$1" -I -m tunegate comment ${PAGE:+"--page=$PAGE"} "${decisions[@]}"; fi
