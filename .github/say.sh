#!/usr/bin/env bash
# Reports the results of gate.sh in $OUT, with the tunegate of a Python: say.sh PYTHON. Writes a page beside the records,
# annotations, and the job summary. It has no token, since code of the change may have run before it.
set -euo pipefail
shopt -s nullglob
decisions=("$OUT"/*.decision.json)
# the change may be checked out below the workspace, and GitHub names its files from the workspace root
GITHUB_WORKSPACE=$(git rev-parse --show-toplevel)
export GITHUB_WORKSPACE
"$1" -I -m tunegate lint --format=github || true # mistakes already block
if [ ${#decisions[@]} -gt 0 ]; then "$1" -I -m tunegate report --html="$OUT/report.html" --format=github "${decisions[@]}"; fi
bash "$(dirname "${BASH_SOURCE[0]}")/comment.sh" "$1"
