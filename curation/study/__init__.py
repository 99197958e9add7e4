"""Rating studies: from what subjects said to labels."""
