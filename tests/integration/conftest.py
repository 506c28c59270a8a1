"""What pytest inside pytest must find loaded: it forgets what a run of it loaded, and torch loads only once."""

from __future__ import annotations

import peft  # noqa: F401
import sentence_transformers  # noqa: F401
import sklearn.linear_model  # noqa: F401
import torch  # noqa: F401
import transformers  # noqa: F401

import tunegate.harness.session.pytest_plugin.items  # noqa: F401
