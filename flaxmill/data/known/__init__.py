"""The known data sets: what their publishers offer, read and checked, or drawn ones instead."""
