"""Error counts, silence policies, intervals."""
