"""Networks made small: integer arithmetic that keeps the accuracy, with training or without."""
