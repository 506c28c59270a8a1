#!/usr/bin/env bash
# Builds sdist and wheel twice from what is committed, compares them byte by byte, and checks what PyPI asks for.
#   bash .github/build.sh FOLDER
set -euo pipefail
out=$(realpath -m "$1")
root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet build==1.6.1 twine==7.0.0
umask 022
for n in 1 2; do
  git clone --quiet "$root" "$work/$n"
  "$work/venv/bin/python" -m build --quiet --outdir "$work/dist-$n" "$work/$n"
done
diff -r "$work/dist-1" "$work/dist-2"
"$work/venv/bin/python" -m twine check --strict "$work"/dist-1/*
mkdir -p "$out"
cp "$work"/dist-1/* "$out"
sha256sum "$out"/*
