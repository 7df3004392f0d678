"""From posteriors to phone sequences: n-gram models, Viterbi, forced alignment, CTC."""
