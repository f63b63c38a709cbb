"""Whole slides: readers, tissue masks, the micron grid, reading in processes."""
