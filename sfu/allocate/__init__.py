"""Which layers a subscriber gets: the pure rule."""
