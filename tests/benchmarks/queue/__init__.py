"""`make bench-queue`: what a claim costs beside a long history, and how well workers use their engine."""
