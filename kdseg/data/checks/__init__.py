"""What is wrong with the cases of a data set, and how they look beside each other."""
