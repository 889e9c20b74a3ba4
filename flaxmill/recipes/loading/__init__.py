"""Checks of what a recipe returns; and whose code runs."""
