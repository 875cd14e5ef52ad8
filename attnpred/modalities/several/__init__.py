"""Examples of several inputs of different kinds, by names: a question and an image, a text and a series."""
