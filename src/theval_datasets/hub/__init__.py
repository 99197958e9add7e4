"""The Hugging Face Hub: what is there, downloads, publishing."""
