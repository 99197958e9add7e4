"""The Hugging Face Hub: state of a repository, downloads, publishing."""
