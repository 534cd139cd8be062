"""The objectives that come with shamisa, one a file; registered as anyone else's are."""
