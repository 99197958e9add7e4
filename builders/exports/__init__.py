"""Training data of built datasets in the forms that trainers of multimodal models read."""
