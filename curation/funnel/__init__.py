"""What the filters of a run did."""
