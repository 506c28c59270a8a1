#!/usr/bin/env bash
# Gathers the pages of the site in one folder: docs/, the README as its home, SECURITY.md, the results of benchmarks. Links
# between them are made to fit; those to other files lead to the repository.
#   bash .github/site.sh FOLDER
set -euo pipefail
out=$1
rm -rf "$out"
mkdir -p "$out"
cp -r docs/. "$out"
cp -r benchmarks/results "$out/results"
mkdir "$out/schemas"
cp harness/cases/*.schema.json "$out/schemas"
cp README.md "$out/index.md"
cp SECURITY.md "$out/security.md"
repository="https://github.com/${GITHUB_REPOSITORY:-tunegate/tunegate}/blob/main"

fit() { # the folder that the page's links count from, the way back to the site's root, then the pages
  local from=$1 root=$2
  shift 2
  sed -E -i \
    -e "s#\]\(${from}benchmarks/results/#](${root}results/#g" \
    -e "s#\]\(${from}SECURITY\.md#](${root}security.md#g" \
    -e "s#\]\(${from}README\.md#](${root}index.md#g" \
    -e "s#\]\(${from}docs/#](${root}#g" \
    -e "s#\]\(${from}((\.github|action\.yml|benchmarks|examples|fixtures|plugins|tests|trainers|harness|suites|Makefile|[A-Z]+\.md|LICENSE|pyproject\.toml)[^)]*)\)#](${repository}/\1)#g" \
    "$@"
}
fit "" "" "$out/index.md" "$out/security.md"
fit "\.\./" "" "$out"/*.md
fit "\.\./\.\./" "../" "$out"/results/*.md
