"""Which pictures there are: folders, tables and arrays of a person's own, told apart and read."""
