"""What a measurement plays and reads: publishers whose every packet is known, sites, decoded output."""
