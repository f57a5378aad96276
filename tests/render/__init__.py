"""The pictures: what three independent decoders read in them, and what is refused because no phone would read it."""
