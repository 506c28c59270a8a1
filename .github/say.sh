#!/usr/bin/env bash
# Reports what gate.sh left in $OUT, with the tunegate of a Python: say.sh PYTHON. A page beside the records, annotations,
# and the summary of the job. It has no token: what the change brings may have run before it.
set -euo pipefail
shopt -s nullglob
decisions=("$OUT"/*.decision.json)
# the change may be checked out below the workspace, and GitHub names its files from its own root
GITHUB_WORKSPACE=$(git rev-parse --show-toplevel)
export GITHUB_WORKSPACE
"$1" -I -m tunegate lint --format=github || true # mistakes have blocked already
if [ ${#decisions[@]} -gt 0 ]; then "$1" -I -m tunegate report --html="$OUT/report.html" --format=github "${decisions[@]}"; fi
bash "$(dirname "${BASH_SOURCE[0]}")/comment.sh" "$1"
