#!/usr/bin/env bash
# Prints APPROVE=DIGEST if an approving review of this commit has the line "approve DIGEST", written by a user with write
# access other than the author of the change. Reads $REVIEWS, $HEAD and $AUTHOR.
set -euo pipefail
gh api "$REVIEWS" --paginate --jq '.[]
  | select(.state == "APPROVED" and .commit_id == env.HEAD and .user.login != env.AUTHOR)
  | select(.author_association | IN("OWNER", "MEMBER", "COLLABORATOR"))
  | .body // ""' |
  sed -nE 's/^approve ([0-9a-f]{12})[[:space:]]*$/APPROVE=\1/p' | tail -n 1
