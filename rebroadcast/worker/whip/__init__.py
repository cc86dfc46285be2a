"""WHIP as a publishing client: `http` speaks to the endpoint, `link` sends the media."""
