#!/usr/bin/env bash
# Prints APPROVE=DIGEST, where an approving review of this very commit says "approve DIGEST" on a line of its own: by
# somebody who may write to the repository, and who is not the author of the change. It reads $REVIEWS, $HEAD and $AUTHOR.
set -euo pipefail
gh api "$REVIEWS" --paginate --jq '.[]
  | select(.state == "APPROVED" and .commit_id == env.HEAD and .user.login != env.AUTHOR)
  | select(.author_association | IN("OWNER", "MEMBER", "COLLABORATOR"))
  | .body // ""' |
  sed -nE 's/^approve ([0-9a-f]{12})[[:space:]]*$/APPROVE=\1/p' | tail -n 1
