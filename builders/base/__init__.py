"""Base of all datasets: builder, inputs, columns."""
