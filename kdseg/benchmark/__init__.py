"""What distillation costs: a step, the exact relations, several students at once."""
