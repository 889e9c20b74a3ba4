"""A finished run or an export, opened."""
