"""The pictures: what three independent decoders read, and what no phone could read is refused."""
