"""Network out: results to their destinations. Computes nothing."""
