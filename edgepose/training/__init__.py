"""Training: from a data set to a checkpoint, resumable at any step."""
