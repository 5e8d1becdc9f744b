"""What Silt promises in seconds, measured on a real stack."""
