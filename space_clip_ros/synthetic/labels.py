"""Classes of what a synthetic picture shows: the one table of their names and numbers."""

from __future__ import annotations

from enum import IntEnum


class Label(IntEnum):
    """Class of a surface; its number is the value of a pixel in a label map.

    ``OTHER`` is what fits no other class. ``WALL`` are free-standing walls, fences and guard rails.
    ``POLE`` are poles, signs, traffic lights and bollards. ``CYCLE`` are bicycles and motorcycles without their riders,
    who are ``PERSON``. ``TRUCK`` are lorries and buses.
    """

    OTHER = 0
    ROAD = 1
    PAVEMENT = 2
    TERRAIN = 3
    BUILDING = 4
    WALL = 5
    POLE = 6
    VEGETATION = 7
    SKY = 8
    PERSON = 9
    CYCLE = 10
    CAR = 11
    TRUCK = 12


LABEL_NAMES = tuple(label.name.lower() for label in Label)
"""Names of the classes, in the order of their numbers."""
