"""Procedural street scenes: geometry, textures, light, an exact rasteriser and a laser scanner."""
