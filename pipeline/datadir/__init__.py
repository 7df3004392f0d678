"""Kaldi data dirs, lang dirs, phone tables and time marks."""
