"""Export of built datasets as training data in the formats of trainers of multimodal models."""
