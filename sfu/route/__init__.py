"""Publishers, subscribers, viewers and tracks of one room, and the router that joins them."""
