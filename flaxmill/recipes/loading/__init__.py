"""What a recipe gives, checked where it is taken; and whose code runs."""
