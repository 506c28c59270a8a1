#!/usr/bin/env bash
# Posts what gate.sh left in $OUT on the pull request and in the summary, with the tunegate of a Python: comment.sh PYTHON
# With $PAGE, where the page will be served, it links to single cases. With $RESULT, what the gate's job ended with, nothing
# is shown of decisions that say otherwise; where there are none, that is what it says.
set -euo pipefail
shopt -s nullglob
decisions=("$OUT"/*.decision.json)
if [ ${#decisions[@]} -eq 0 ] && [ -n "${RESULT:-}" ]; then decisions=("$OUT/decision.json"); fi
if [ ${#decisions[@]} -gt 0 ]; then
  "$1" -I -m tunegate comment ${PAGE:+"--page=$PAGE"} ${RESULT:+"--gate-result=$RESULT"} "${decisions[@]}"
fi
