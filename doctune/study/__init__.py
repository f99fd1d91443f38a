"""A study and its storage: opened, locked, shared by processes that come and go."""
