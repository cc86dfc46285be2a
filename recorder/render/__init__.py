"""Makes one composed file of a finished recording, in a process of its own."""
