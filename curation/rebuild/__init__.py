"""The clips of a manifest made again and compared."""
