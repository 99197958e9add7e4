"""What all datasets share: the builder, its inputs, columns."""
