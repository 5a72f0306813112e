"""What people on call do: what was given up, replayed or discarded."""
