"""The environment, read once and checked: what every process here is told from outside."""
