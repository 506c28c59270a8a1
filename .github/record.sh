#!/usr/bin/env bash
# Records new baselines with the tunegate of a Python: record.sh PYTHON. Of $MODEL, replay:NAME=FILE for outputs generated
# elsewhere, or of the model in pyproject.toml; the latter with pytest, and so with the project's own Python.
# With $ADDED true, only added cases of which nothing is recorded are.
# The changes are written to $OUT/baselines.patch and shown in the job summary. Nothing is committed.
# shellcheck disable=SC2016  # the backticks are Markdown's
set -uo pipefail
readonly MOST=60000 # characters of a patch in the summary
python=$1
settings='import sys
from pathlib import Path
from tunegate.harness.core.errors import TunegateError, show_path
from tunegate.harness.models.options.settings import standing
root = Path(sys.argv[1]).resolve()
try:
    found = standing(Path())
except TunegateError as error:
    sys.exit(error)
named = found["baselines"]
baselines = named.resolve()
inside = baselines.relative_to(root).parts if baselines.is_relative_to(root) else ()
if not inside or inside[0] == ".git" or Path().resolve().is_relative_to(baselines):
    sys.exit(f"baselines: expected a folder of their own in the repository, found {show_path(named)}")
print(found["cases"], baselines, found["model"], sep="\n")'
mkdir -p "$OUT" || exit 3
root=$(git rev-parse --show-toplevel) || exit 3
read_settings=$("$python" -I -c "$settings" "$root") || exit 4
mapfile -t standing <<< "$read_settings"
cases=${standing[0]} baselines=${standing[1]} model=${MODEL:-${standing[2]}}

started=$(mktemp) || exit 3
code=0
if [ "${ADDED:-false}" != false ]; then # without pytest, which would run the conftest.py
  said=$("$python" -I -m tunegate record --added --model="$model" 2>&1) || code=$?
  printf '%s\n' "$said"
  printf '### Added cases\n\n%s\n\n' "    ${said//$'\n'/$'\n    '}" >> "${GITHUB_STEP_SUMMARY:-/dev/stdout}"
elif [[ $model =~ ^replay:([^=]+)=(.+)$ ]]; then
  "$python" -I -m tunegate record --name="${BASH_REMATCH[1]}" --from="${BASH_REMATCH[2]}" \
    ${REQUESTS:+"--requests=$REQUESTS"} || code=$?
else
  "$python" -m pytest "$cases" --tg-record --tg-model="$model" -p no:cacheprovider || code=$?
fi

mkdir -p "$baselines"
export GIT_LITERAL_PATHSPECS=1 # folder names are not patterns
# only what the recording wrote: other files there must not be published
mapfile -d '' -t written < <(
  find "$baselines" -mindepth 3 -maxdepth 3 -type f -name '*.json' -newer "$started" -print0
  if [ -d "$baselines/ledger" ]; then
    find "$baselines/ledger" -mindepth 1 -maxdepth 1 -type f -name '*.json' -newer "$started" -print0
  fi
)
rm -f "$started"
if [ "${#written[@]}" -gt 0 ]; then # the patch includes new files
  git add --intent-to-add -- "${written[@]}" || exit 3
fi
git diff --no-ext-diff --no-textconv --no-color --binary --output="$OUT/baselines.patch" -- "$baselines" || exit 3
changed=$(git diff --no-ext-diff --name-only -- "$baselines" | wc -l)
git reset --quiet -- "$baselines" # restore the index
{
  if [ "$changed" -eq 0 ]; then
    printf '### 📋 The baselines are unchanged\n\n'
  else
    printf '### 📋 New baselines: %d files\n\nNothing is committed. To apply them, use the artefact `tunegate` of this run:\n\n' "$changed"
    fence=$(grep -oE '`{3,}' "$OUT/baselines.patch" | sort -u | tail -n 1)'````'
    printf '```text\ngit apply baselines.patch\n```\n\n<details><summary>Changes</summary>\n\n%sdiff\n' "$fence"
    head -c "$MOST" "$OUT/baselines.patch"
    printf '\n%s\n\n</details>\n\n' "$fence"
    if [ "$(wc -c < "$OUT/baselines.patch")" -gt "$MOST" ]; then printf 'The rest is in the artefact.\n\n'; fi
  fi
  if [ "$code" -ne 0 ]; then printf 'The recording ended with exit code %d: see the log of the job.\n\n' "$code"; fi
} >> "${GITHUB_STEP_SUMMARY:-/dev/stdout}"
exit "$code"
