"""What `doctor` checks of a `medgemma` request: device, numbers, record, adapter, memory, probe."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from immunopath.domain.errors import AdapterMismatch, CaseFileError, ImmunoPathError
from immunopath.domain.words import counted
from immunopath.models.foundation.checks import GIB, Check, attempt, memory_check
from immunopath.models.foundation.hf_loading import load_processor
from immunopath.models.foundation.medgemma.adapter import (
    TENSORS,
    check_base,
    compare_shapes,
    expected_shapes,
    read_settings,
)
from immunopath.models.foundation.medgemma.adapter_keys import mapped_key
from immunopath.models.foundation.medgemma.gemma import check_config
from immunopath.models.foundation.medgemma.medgemma_build import (
    Request,
    choose_record,
    find_calibrator,
    find_probe,
    parse,
    setup_asked,
)
from immunopath.models.foundation.medgemma.memory import MemoryEstimate, estimate
from immunopath.models.foundation.medgemma.record import CheckpointRecord
from immunopath.models.foundation.precision import choose_precision
from immunopath.models.foundation.weights import Weights, stored_numbers
from immunopath.models.spec import EngineSpec

TURN_TOKENS: Final = 12
"""The chat template's own tokens around one user turn, at most."""
IMAGE_TOKENS: Final = 4
"""Begin, end and line breaks around the soft tokens of one image."""


def check_request(head: str, spec: EngineSpec, device: str, *, loadable: bool) -> list[Check]:
    """Return the rows of a `medgemma` engine string; `loadable`: all its files are on this disk."""
    request = parse(spec, device)
    rows = [
        attempt(
            f"{head}: numbers",
            lambda: f"{choose_precision(request.options, request.device)} on {request.device}",
        )
    ]
    if not loadable:
        return rows
    try:
        base = request.base.resolve()
        adapter = None if request.adapter is None else request.adapter.resolve()
    except ImmunoPathError as error:
        return [*rows, Check(f"{head}: weights", "missing", str(error))]
    rows.append(attempt(f"{head}: base model", lambda: _base(base)))
    if adapter is not None:
        rows.append(attempt(f"{head}: adapter", lambda: _adapter(base, adapter)))
    rows.append(attempt(f"{head}: record", lambda: _record(request, base, adapter)))
    if rows[0].state == "ok":
        rows += _memory(head, request, base, adapter)
    rows += _probe(head, request, base, adapter)
    rows.append(_calibration(head, request, base, adapter))
    return rows


def _base(base: Weights) -> str:
    config = check_config(base)
    stored_numbers(base)
    text = config.get_text_config()
    return (
        f"Gemma 3, {text.num_hidden_layers} layers, {text.vocab_size} tokens, images of "
        f"{config.vision_config.image_size} px, {base.label}"
    )


def _adapter(base: Weights, adapter: Weights) -> str:
    """Compare names and shapes of the adapter with a model of the base's shape, without weights."""
    from safetensors import SafetensorError, safe_open

    settings = read_settings(adapter)
    confirmed = check_base(base, adapter, settings)
    path = adapter.folder / TENSORS
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            found = {mapped_key(n): tuple(file.get_slice(n).get_shape()) for n in names}
    except (SafetensorError, OSError) as error:
        raise AdapterMismatch(f"{path}: is not a whole safetensors file ({error})") from error
    compare_shapes(expected_shapes(empty_model(base), settings, adapter), found, adapter)
    named = "names this base" if confirmed else "base not named by both, shapes fit"
    return f"{len(found)} tensors, all expected, {named}"


def empty_model(base: Weights) -> Any:  # noqa: ANN401 - of transformers
    """Return a model of the base's shape on the meta device: no weights, no memory."""
    import torch

    from immunopath.models.foundation.hf_loading import transformers

    config = check_config(base)
    with torch.device("meta"):
        return transformers().AutoModelForImageTextToText.from_config(config)


def _record(request: Request, base: Weights, adapter: Weights | None) -> str:
    record: CheckpointRecord = choose_record(request, base, adapter)
    return (
        f"prompt {record.prompt}, {record.images} image(s), {record.format}, {record.mpp:g} µm/px, "
        f"{record.patch_px} px, quantity {record.quantity}"
    )


def _memory(head: str, request: Request, base: Weights, adapter: Weights | None) -> Iterator[Check]:
    label = f"{head}: memory"
    try:
        need = _needed(request, base, adapter)
    except ImmunoPathError:  # each is a row of its own already
        yield Check(label, "note", "not estimated: mend the rows above first")
        return
    text = (
        f"{need.total / GIB:.2f} GiB for {request.serving.batch} prompts at once (weights "
        f"{need.weights / GIB:.2f}, cache {need.kv_cache / GIB:.2f}, activations "
        f"{need.activations / GIB:.2f})"
    )
    remedy = "use a smaller batch=, quant=nf4, dtype=bfloat16 or a larger device"
    yield memory_check(label, need.total, text, request.device, remedy)


def _needed(request: Request, base: Weights, adapter: Weights | None) -> MemoryEstimate:
    """Return the estimate for the request's batch, prompt and numbers, the adapter included."""
    config, record = check_config(base), choose_record(request, base, adapter)
    precision = choose_precision(request.options, request.device)
    tokenizer = load_processor("AutoTokenizer", base)
    words = len(tokenizer(record.the_prompt.filled(None))["input_ids"])
    tokens = words + TURN_TOKENS + record.images * (config.mm_tokens_per_image + IMAGE_TOKENS)
    need = estimate(
        config,
        precision,
        batch=request.serving.batch,
        prompt_tokens=tokens,
        images=record.images,
        accelerator=request.device != "cpu",
    )
    if adapter is None:
        return need
    return replace(need, weights=need.weights + (adapter.folder / TENSORS).stat().st_size)


def _probe(head: str, request: Request, base: Weights, adapter: Weights | None) -> Iterator[Check]:
    """Say of the probe what a report will say; a file that stops the engine stops it here too."""
    label = f"{head}: probe"
    try:
        record = choose_record(request, base, adapter)
        setup = setup_asked(request, record, base, adapter)
        result, caution = find_probe(request, adapter or base, setup)
    except CaseFileError as error:
        yield Check(label, "missing", str(error))
        return
    except ImmunoPathError:  # each is a row of its own already
        yield Check(label, "note", "not compared: mend the rows above first")
        return
    if result is None:
        remedy = "optional: immunopath models probe ENGINE IMAGE…"
        yield Check(label, "note", "never probed: reports will say so", remedy)
    elif caution is not None and caution.code == "NOT_PROBED":
        yield Check(label, "note", caution.message, "immunopath models probe ENGINE IMAGE…")
    else:
        yield Check(label, "ok", f"image: {result.verdict} ({counted(result.n_units, 'prompt')})")


def _calibration(head: str, request: Request, base: Weights, adapter: Weights | None) -> Check:
    """Say which fields will be stated as calibrated; another checkpoint's stops the engine."""
    label = f"{head}: calibration"
    try:
        found = find_calibrator(request, base, adapter)
    except ImmunoPathError as error:
        return Check(label, "missing", str(error))
    if found is None:
        return Check(label, "note", "none: reports will call the tables uncalibrated")
    fitted = [entry.field for entry in found.fields if entry.evaluable]
    of = f"of {counted(found.n, 'patient')}, {counted(len(fitted), 'field')}"
    return Check(label, "ok", f"{of}: {', '.join(fitted)}")
