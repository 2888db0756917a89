"""Measurements, side by side in one run. Nothing here is asserted: figures depend on the machine."""
