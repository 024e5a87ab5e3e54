"""What a side of an axis may be."""

#: What a side is: none, on a ring; points that never move; a slope of zero at the last point, or
#: half a spacing beyond it; a value that is held half a spacing, or a whole one, beyond it; or
#: nothing of these.
RING, STILL, SLOPE, SLOPE_HALFWAY, HELD_HALFWAY, HELD_BEYOND, FREE = (
    "ring", "still", "slope", "slope halfway", "held halfway", "held beyond", "free",
)  # fmt: skip
SIDES = (RING, STILL, SLOPE, SLOPE_HALFWAY, HELD_HALFWAY, HELD_BEYOND, FREE)

#: Where a side's slope or value is known, in points from the last one.
POSITION = {SLOPE: 0.0, SLOPE_HALFWAY: -0.5, HELD_HALFWAY: -0.5, HELD_BEYOND: -1.0}
