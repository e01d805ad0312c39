"""What a candidate is made of: scorers, calibration, artifact."""
