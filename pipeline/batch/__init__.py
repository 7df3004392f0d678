"""The machinery of work on corpora: what there is to do, who does it, what became of it."""
