"""What is broken on purpose on the query path: a table by what is broken, and the words that they share."""
