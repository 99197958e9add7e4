"""Engines that run the runner: processes of this machine, or a Ray cluster."""
