"""Words and what a model sees in one space: queries, their scores on patches, and CLIP's text side."""
