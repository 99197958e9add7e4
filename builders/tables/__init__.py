"""Tables and readers that several datasets use."""
