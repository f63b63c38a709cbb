"""Every extra works beside every other, in one process on a CPU."""

import importlib.util
import subprocess
import sys

import pytest

MODULES = (
    "torch", "transformers", "peft", "bitsandbytes", "accelerate", "safetensors", "onnxruntime",
    "llguidance",
    "open_clip", "tensorflow", "trl", "datasets", "sklearn", "pyarrow", "pandas",
    "fhir.resources", "anndata", "ray", "starlette", "uvicorn", "faiss",
)  # fmt: skip
WORK = """
import os
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0"}
from immunopath.models.torchvision_guard import guard_torchvision
assert guard_torchvision()
from transformers import AutoProcessor, Gemma3ForConditionalGeneration, SiglipModel
import llguidance.torch, open_clip, peft, bitsandbytes, trl, torch, numpy as np
model, _, _ = open_clip.create_model_and_transforms("ViT-B-32", pretrained=None)
with torch.inference_mode():
    assert model.encode_image(torch.zeros(1, 3, 224, 224)).shape == (1, 512)
import tensorflow as tf
assert float(tf.reduce_sum(tf.ones(3))) == 3
import faiss
index = faiss.IndexFlatIP(4)
index.add(np.eye(4, dtype=np.float32))
assert index.search(np.eye(4, dtype=np.float32)[:1], 1)[1][0, 0] == 0
import anndata, datasets, onnxruntime, pandas, pyarrow, ray.data, sklearn
import python_multipart, starlette, uvicorn
from fhir.resources.R4B.bundle import Bundle
"""


@pytest.mark.slow
def test_all_extras_work_in_one_process() -> None:
    missing = [name for name in MODULES if importlib.util.find_spec(name.split(".")[0]) is None]
    if missing:
        pytest.skip(f"needs the extra 'all' (not installed: {', '.join(missing)})")
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
