"""LoRA fine-tuning of a Gemma 3 image-text model on a cohort folder: ``immunopath train``."""
