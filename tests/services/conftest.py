"""What pytest inside pytest must find loaded: it forgets what a run of it loaded, and parts of torch load only once."""

from __future__ import annotations

import transformers.modeling_utils  # noqa: F401  (with torch.distributed, which a model's first load would bring)
