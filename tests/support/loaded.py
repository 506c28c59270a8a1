"""What trainings and evaluations need, loaded once for all processes that tests/support/forked.py forks."""

from __future__ import annotations

import peft  # noqa: F401
import pytest  # noqa: F401
import sentence_transformers  # noqa: F401
import torch  # noqa: F401
from transformers import Trainer  # noqa: F401
from trl import DPOTrainer, SFTTrainer  # noqa: F401

import tunegate.trainers.pipeline  # noqa: F401
