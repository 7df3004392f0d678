"""Waveform to feature matrix: audio, spectra, dynamics, normalisation, archives."""
