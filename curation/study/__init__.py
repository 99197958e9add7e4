"""Rating studies: from ratings and votes to labels."""
