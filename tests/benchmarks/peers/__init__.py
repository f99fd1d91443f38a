"""What a search finds in a given time, beside what people use today."""
