"""Every table and figure of both papers, ours beside theirs."""
