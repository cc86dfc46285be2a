"""SRT as a caller: `library` is the system's libsrt, `link` carries MPEG-TS over it."""
