"""What the person at the table says: several phrasings of each correction, some of them held out.

The scripted model that reads corrections was written with ``KNOWN`` in view. ``HELD_OUT`` was written after
its patterns were done, and they were not changed since: what it makes of these tells how it reads words it
was not made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Meaning: TypeAlias = Literal[
    "open_first",
    "empty_hand",
    "latch",
    "no_latch",
    "close",
    "own",
    "unfinished",
    "wrong_object",
    "right",
    "left",
    "forward",
    "back",
    "turn",
    "turn_back",
    "further",
    "less_far",
    "lift",
    "go_on",
    "again",
]

PLAN: frozenset[Meaning] = frozenset(
    ("open_first", "empty_hand", "latch", "no_latch", "close", "own", "unfinished", "wrong_object")
)
"""Meanings that point beyond the step at hand; the others are about the step itself."""

KNOWN: Mapping[Meaning, tuple[str, ...]] = {
    "open_first": (
        "Open the drawer first.",
        "You have to open the drawer before you put something into it.",
        "The drawer is still shut; nothing goes in until it is open.",
        "Start with opening the drawer.",
    ),
    "empty_hand": (
        "Your hand must be empty to open a drawer: put the {held} down first.",
        "You cannot open a drawer while you hold something. Lay the {held} on the table.",
        "With a full hand no drawer can be opened, so lay the {held} aside.",
        "You need a free hand for the drawer; get rid of the {held} for now.",
    ),
    "latch": (
        "Release the latch of the {into} first.",
        "The {into} has a latch, which must be released before you open it.",
        "The {into} only opens when its latch is off.",
        "Undo the latch on the {into}, then pull.",
    ),
    "no_latch": (
        "The {into} has no latch, leave that out.",
        "There is no latch on the {into}, skip that.",
        "Nothing to release here, the {into} is a plain one.",
        "No, the {into} does not have a latch.",
    ),
    "close": (
        "Close the drawer at the end.",
        "When you are done, close the drawer again.",
        "And shut the drawer, please.",
        "The drawer should not stay open afterwards.",
    ),
    "own": (
        "Not that one: my {kind} is the {wanted}.",
        "My {kind} is the {wanted}, put this one back.",
        "Mine is the {wanted}.",
        "That {kind} belongs to somebody else, I use the {wanted}.",
    ),
    "unfinished": (
        "The {kind} has to go into the {place} yet.",
        "You are not done, the {kind} belongs in the {place}.",
        "The {kind} is still outside the {place}.",
        "We are not finished until the {kind} is in the {place}.",
    ),
    "wrong_object": (
        "That is the wrong thing, take the {wanted}.",
        "Wrong object. I mean the {wanted}.",
        "Take the {wanted} instead.",
        "Leave that one alone and get the {wanted}.",
    ),
    "right": (
        "Move the gripper {length} to the right.",
        "{Length} more to the right.",
        "{Length} to your right.",
        "You are {length} too far to the left.",
    ),
    "left": (
        "Move the gripper {length} to the left.",
        "{Length} more to the left.",
        "{Length} to your left.",
        "Your grip is {length} too far over on the right-hand side.",
    ),
    "forward": (
        "Move the gripper {length} forward.",
        "{Length} further away from you.",
        "Reach {length} deeper.",
        "The hand should be {length} nearer to the far edge.",
    ),
    "back": (
        "Move the gripper {length} back.",
        "{Length} closer to you.",
        "Come {length} towards yourself.",
        "You reach {length} too deep.",
    ),
    "turn": (
        "Turn the gripper {angle} degrees.",
        "Rotate it by {angle} degrees.",
        "Twist your wrist by another {angle} degrees.",
        "It needs {angle} degrees more rotation.",
    ),
    "turn_back": (
        "Turn the gripper back by {angle} degrees.",
        "Rotate it {angle} degrees less.",
        "Untwist your wrist by {angle} degrees.",
        "{angle} degrees of rotation too many.",
    ),
    "further": (
        "Pull {length} further.",
        "Pull it out {length} more.",
        "It has to come out {length} more.",
        "Draw it {length} further.",
    ),
    "less_far": (
        "Pull {length} less.",
        "Do not pull that far, {length} less.",
        "That was {length} too much.",
        "Stop {length} earlier when you draw it out.",
    ),
    "lift": (
        "Move the arm up {length} first.",
        "Lift the arm {length}.",
        "Raise yourself {length} above the rim.",
        "You need {length} more height.",
    ),
    "go_on": (
        "Now continue.",
        "Good, go on with what you were doing.",
        "Fine, carry on.",
        "That is high enough, you may proceed.",
    ),
    "again": (
        "It slipped. Try that again.",
        "You dropped it, try once more.",
        "Oh, it fell. Have another go.",
        "You lost it, repeat that.",
    ),
}

HELD_OUT: Mapping[Meaning, tuple[str, ...]] = {
    "open_first": ("You forgot that the drawer is closed.", "Should the drawer not come open before that?"),
    "empty_hand": (
        "Put the {held} away, you cannot work the drawer with your fingers occupied.",
        "One hand only: first get the {held} out of it.",
    ),
    "latch": (
        "Mind the latch of the {into} before pulling.",
        "A catch keeps the {into} shut, undo the latch.",
    ),
    "no_latch": ("Skip this, the {into} has never had a latch.", "The {into} goes without one."),
    "close": ("Leave it closed when you finish.", "Please push the drawer in again at the end."),
    "own": ("This is not mine, the {wanted} is.", "The one I own is the {wanted}."),
    "unfinished": (
        "That does not count before the {kind} sits in the {place}.",
        "Go on until the {kind} is inside the {place}.",
    ),
    "wrong_object": ("I asked for the {wanted}.", "No, the {wanted} please."),
    "right": ("Shift right by {length}.", "A little to the right, say {length}."),
    "left": ("Slide {length} leftwards.", "Try {length} further left."),
    "forward": ("Go {length} farther in.", "Stretch {length} more."),
    "back": ("Pull your hand back {length}.", "Retreat {length}."),
    "turn": ("Another {angle} degrees clockwise.", "Angle the fingers {angle} degrees more."),
    "turn_back": ("Undo {angle} degrees of that turn.", "{angle} degrees anticlockwise."),
    "further": ("Open it {length} wider.", "Keep pulling, {length} are missing."),
    "less_far": ("You opened it {length} wider than needed.", "Push it in {length}."),
    "lift": ("Up with you, {length}.", "Clear the edge by going {length} higher."),
    "go_on": ("Great, now finish it.", "Now do what you wanted to."),
    "again": ("Whoops. Once again, please.", "It got away from you, grab it anew."),
}
