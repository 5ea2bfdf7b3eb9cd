"""`make soak`: kill -9 of every role at random while DCMTK sends, then a comparison of what senders, database and PACS hold."""
