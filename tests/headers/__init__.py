"""What any hospital may write into a header: a table of values, their combinations, and the bytes they become."""
