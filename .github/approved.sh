#!/usr/bin/env bash
# Prints APPROVE=DIGEST if an approving review of this commit has the line "approve DIGEST". The reviewer has write access, is
# not the author of the change, and did not request changes afterwards. Reads $REVIEWS (the path in GitHub's API), $HEAD, $AUTHOR.
set -euo pipefail
gh api "$REVIEWS" --paginate --jq '.[]
  | select(.user.login != env.AUTHOR)
  | [.user.login, .state, .commit_id == env.HEAD,
     ([.body // "" | splits("\r?\n") | select(test("^approve [0-9a-f]{12}[ \t]*$"))] | last // "" | .[8:20])] | @tsv' |
  awk -F '\t' '
    $2 == "APPROVED" && $3 == "true" && $4 != "" { given[$1] = NR "\t" $1 "\t" $4 }
    $2 == "CHANGES_REQUESTED" || $2 == "DISMISSED" { delete given[$1] } # the state of an earlier approval stays APPROVED
    END { for (who in given) print given[who] }' |
  sort -rn |
  while IFS=$'\t' read -r _ who digest; do
    access=$(gh api "${REVIEWS%/pulls/*}/collaborators/$who/permission" --jq .permission < /dev/null) || access=
    case $access in admin | write) echo "APPROVE=$digest" && break ;; esac
  done
