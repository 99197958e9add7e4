"""Quality metrics trained on the features of built datasets: EvalTalker's head, or a forest."""
