"""How fast instances are taken in, beside other receivers, in one run (`make bench-intake`)."""
