"""Try the room without anybody's data: a season of fictional organisations, and the demonstration on it."""
