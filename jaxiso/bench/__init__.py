"""Speed and memory beside peers."""
