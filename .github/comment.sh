#!/usr/bin/env bash
# Posts the results of gate.sh in $OUT on the pull request and in the summary, with the tunegate of a Python: comment.sh PYTHON
# With $PAGE, the address of the page, it links to single cases. With $RESULT, the result of the gate's job, decisions that
# contradict it are not shown; without decisions, $RESULT is reported.
set -euo pipefail
shopt -s nullglob
decisions=("$OUT"/*.decision.json)
if [ ${#decisions[@]} -eq 0 ] && [ -n "${RESULT:-}" ]; then decisions=("$OUT/decision.json"); fi
if [ ${#decisions[@]} -gt 0 ]; then
  "$1" -I -m tunegate comment ${PAGE:+"--page=$PAGE"} ${RESULT:+"--gate-result=$RESULT"} "${decisions[@]}"
fi
