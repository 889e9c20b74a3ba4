"""The wardrobe of the built-in set: how each of Fashion-MNIST's ten classes is cut.

A cut throws dice for the measures of a row of garments and gives their parts, which are laid over
each other in order. T-shirts, pullovers, coats and shirts share their outlines and differ in
sleeves, neck and front, as in life: there the classes are hard to tell apart.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from flaxmill.data.sketches.cloth import Dice, Part, Value, limb, oval, panel, part

PARTS = 9
"""The most parts that a garment has."""


def neckline(dice: Dice, tone: Value, pointed: float) -> list[Part]:
    """Cuts a collar band and the opening in it, with the back seen through it in some.

    Args:
        dice: For the measures.
        tone: Brightness of the garment.
        pointed: How much narrower the opening may be below: 0 for round necks only, 1 for V too.
    """
    half, deep = dice.between(0.14, 0.24), dice.between(0.04, 0.3)
    point = half * dice.between(0.9 - 0.7 * pointed, 0.95)
    band = panel(-0.92, -0.82 + deep * 0.5, half + 0.06, point + 0.06)
    hole = panel(-0.95, -0.84 + deep * 0.5, half, point)
    bulge = (0.0, 0.0, deep * 0.5, 0.0)
    band_tone, banded = tone * dice.between(0.7, 1.3), dice.chance(0.8)
    inside = np.where(dice.chance(0.4), tone * 0.4, 0.0)
    return [
        part(band, band_tone, bulge=bulge, rim=0.0, shown=banded),
        part(hole, inside, bulge=bulge, rim=0.0, weave=0.0),
    ]


def chest_print(dice: Dice, tone: Value, share: float) -> Part:
    """Cuts a picture or a line of writing on the chest, for a share of the garments."""
    shown = np.where(dice.chance(share), dice.between(0.5, 1.0), 0.0)
    ink = np.where(tone > 0.55, tone * dice.between(0.1, 0.6), dice.between(0.7, 1.0))
    half, high, middle = dice.between(0.1, 0.3), dice.between(0.04, 0.2), dice.between(-0.4, 0.0)
    letters = np.where(dice.chance(0.6), dice.between(3.0, 7.0), 0.0)
    corners = panel(middle - high, middle + high, half, half)
    return part(corners, ink, rim=0.0, weave=0.0, dashes=(letters, 0.0), shown=shown)


def torso(dice: Dice, tone: Value, shoulder: Value, bottom: Value, flare: Value) -> Part:
    """Cuts the front of a top: sloping shoulders, a waist, a hem ``flare`` times as wide."""
    corners = panel(-0.8, bottom, shoulder, shoulder * flare)
    waist, hem = dice.between(-0.06, 0.02), dice.between(-0.02, 0.06)
    return part(corners, tone, bulge=(0.08, waist, hem, waist), rim=dice.between(0.1, 0.5))


def sleeves(dice: Dice, tone: Value, shoulder: Value, long: np.ndarray) -> list[Part]:
    """Cuts two sleeves: long ones hang beside the body, some with cuffs, short ones stand off."""
    half = np.where(long, dice.between(0.14, 0.19), dice.between(0.17, 0.23))
    down = np.where(long, dice.between(0.4, 0.85), dice.between(-0.45, -0.05))
    across, bow = shoulder + dice.between(0.14, 0.34), dice.between(0.0, 0.08)
    wrist = half * np.where(long, 0.72, 0.88)
    arm = limb((shoulder - 0.09, -0.65), (across, down), half, wrist)
    cuff = limb((across - 0.02, down - 0.12), (across, down), wrist * 1.02, wrist)
    cuff_tone, cuffed = tone * dice.between(0.65, 1.2), long & dice.chance(0.5)
    return [
        part(arm, tone, bulge=(-bow, 0.02, bow, 0.1), rim=0.45, twin=True),
        part(cuff, cuff_tone, rim=0.1, twin=True, shown=cuffed),
    ]


def folded_collar(dice: Dice, tone: Value, shown: np.ndarray) -> Part:
    """Cuts the two points of a collar, lighter or darker than the rest."""
    corners = (0.01, -0.68), (0.08, -0.97), (0.25, -0.86), (0.22, -0.56)
    paler = np.where(dice.chance(0.6), dice.between(1.2, 1.5), dice.between(0.45, 0.75))
    return part(corners, tone * paler, rim=0.4, twin=True, shown=shown)


def tshirt(dice: Dice) -> list[Part]:
    """T-shirt or top: mostly short sleeves, a round open neck or a polo's collar, often a print."""
    tone, shoulder = dice.tone(), dice.between(0.3, 0.5)
    bottom, flare = dice.between(0.6, 0.97), dice.between(0.92, 1.15)
    sleeve_tone = tone * np.where(dice.chance(0.2), dice.between(0.5, 1.4), 1.0)
    polo, buttons = dice.chance(0.18), panel(-0.7, dice.between(-0.4, -0.1), 0.03, 0.03)
    return [
        *sleeves(dice, sleeve_tone, shoulder, dice.chance(0.08)),
        torso(dice, tone, shoulder, bottom, flare),
        *neckline(dice, tone, pointed=0.3),
        folded_collar(dice, tone, polo),
        part(buttons, tone * 0.4, dashes=(0.0, 3.5), rim=0.0, shown=polo),
        chest_print(dice, tone, 0.45),
    ]


def trouser(dice: Dice) -> list[Part]:
    """Trousers: two legs, a fly, pockets, a waistband."""
    tone, waist = dice.tone(0.3), dice.between(0.26, 0.38)
    crotch, foot = dice.between(-0.5, -0.25), dice.between(0.2, 0.42)
    bottom = dice.between(0.85, 0.97)
    leg = limb(
        (waist / 2, crotch - 0.1), (foot, bottom), waist / 2 + 0.02, dice.between(0.08, 0.17)
    )
    fly = limb((0.0, -0.9), (0.0, crotch), 0.02, 0.02)
    pocket = limb((waist * 0.55, -0.72), (waist * 0.95, -0.5), 0.02, 0.02)
    hips = panel(-0.9, crotch + 0.05, waist, waist * 1.12)
    return [
        part(leg, tone, bulge=(0.0, 0.0, 0.03, 0.1), rim=dice.between(0.2, 0.6), twin=True),
        part(hips, tone, bulge=(0.0, 0.03, 0.0, 0.03), rim=0.1),
        part(fly, tone * 0.6, shown=dice.chance(0.6)),
        part(pocket, tone * 0.6, twin=True, shown=dice.chance(0.5)),
        part(panel(-0.95, -0.82, waist, waist), tone * dice.between(0.6, 1.3), rim=0.2),
    ]


def pullover(dice: Dice) -> list[Part]:
    """Pullover: long sleeves, a ribbed hem, crew, V or roll neck; closed, but some have a zip."""
    tone, shoulder = dice.tone(), dice.between(0.34, 0.5)
    bottom, flare = dice.between(0.6, 0.95), dice.between(0.9, 1.12)
    hem = panel(bottom - 0.14, bottom + 0.02, shoulder * flare, shoulder * flare * 0.97)
    roll = panel(-0.97, dice.between(-0.8, -0.7), 0.15, dice.between(0.17, 0.22))
    zip_end = np.where(dice.chance(0.5), bottom, dice.between(-0.4, -0.1))
    zipper = panel(-0.85, zip_end, 0.025, 0.025)
    hem_tone, ribbed = tone * dice.between(0.6, 1.1), dice.between(0.0, 0.7)
    roll_tone, rolled = tone * dice.between(0.8, 1.1), dice.chance(0.25)
    return [
        *sleeves(dice, tone, shoulder, dice.chance(0.95)),
        torso(dice, tone, shoulder, bottom, flare),
        part(hem, hem_tone, rim=0.2, dashes=(6.0, 0.0), shown=ribbed),
        *neckline(dice, tone, pointed=0.8),
        part(roll, roll_tone, bulge=(0.0, 0.0, 0.05, 0.0), shown=rolled),
        part(zipper, tone * 0.4, rim=0.0, shown=dice.chance(0.25)),
        chest_print(dice, tone, 0.25),
    ]


def dress(dice: Dice) -> list[Part]:
    """Dress: bodice and skirt, straight or with a waist; straps, no sleeves, short or long ones."""
    tone, shoulder = dice.tone(0.3), dice.between(0.22, 0.42)
    waist = dice.between(-0.3, 0.1)
    straight, kind = dice.chance(0.3), dice.between(0.0, 1.0)
    narrow = shoulder * np.where(straight, 1.0, dice.between(0.72, 1.0))
    hem = shoulder * np.where(straight, dice.between(0.95, 1.2), dice.between(1.1, 1.9))
    top = np.where(kind < 0.35, -0.7, -0.86)
    skirt_tone = tone * np.where(dice.chance(0.25), dice.between(0.5, 1.4), 1.0)
    strap = limb((shoulder * 0.75, -0.6), (shoulder * 0.65, -0.97), 0.05, 0.04)
    down = np.where(kind < 0.8, dice.between(-0.55, -0.35), dice.between(-0.1, 0.4))
    sleeve = limb((shoulder - 0.06, -0.72), (shoulder + dice.between(0.1, 0.22), down), 0.13, 0.1)
    sway, deep = dice.between(-0.06, 0.08), dice.between(0.05, 0.25)
    skirt = panel(waist - 0.02, dice.between(0.65, 0.97), narrow, hem)
    bodice = panel(top, waist + 0.02, shoulder, narrow)
    neck = panel(top - 0.1, top + deep * 0.5, shoulder * 0.6, shoulder * 0.4)
    belt = panel(waist - 0.05, waist + 0.05, narrow * 1.02, narrow * 1.02)
    belt_tone, belted = tone * dice.between(0.4, 1.5), ~straight & dice.chance(0.5)
    return [
        part(sleeve, tone, bulge=(0.0, 0.0, 0.0, 0.08), rim=0.4, twin=True, shown=kind > 0.5),
        part(strap, tone, twin=True, shown=kind < 0.35),
        part(skirt, skirt_tone, bulge=(0.0, sway, 0.05, sway), rim=0.5),
        part(bodice, tone, bulge=(0.05, 0.0, 0.0, 0.0)),
        part(neck, 0.0, bulge=(0.0, 0.0, deep * 0.5, 0.0), rim=0.0),
        part(belt, belt_tone, shown=belted),
    ]


def coat(dice: Dice) -> list[Part]:
    """Coat: long sleeves, open all the way down the front, lapels, buttons, some with a belt."""
    tone, shoulder = dice.tone(), dice.between(0.36, 0.5)
    bottom, flare = dice.between(0.65, 0.98), dice.between(0.92, 1.2)
    opening, dark = dice.between(0.01, 0.05), tone * dice.between(0.15, 0.85)
    front = panel(-0.8, bottom + 0.05, opening, opening + dice.between(0.0, 0.05))
    lapel = (0.02, -0.8), (0.2, -0.92), (0.27, -0.55), (0.02, dice.between(-0.65, 0.05))
    button, waist = dice.between(0.04, 0.14), dice.between(0.0, 0.2)
    buttons = limb((button, -0.1), (button, bottom - 0.2), 0.035, 0.035)
    belt = panel(waist, waist + 0.12, shoulder, shoulder)
    pocket = limb((0.2, 0.4), (0.38, 0.36), 0.03, 0.03)
    lapel_tone, lapels = tone * dice.between(0.8, 1.2), dice.chance(0.55)
    return [
        *sleeves(dice, tone, shoulder, dice.chance(0.98)),
        torso(dice, tone, shoulder, bottom, flare),
        part(panel(-0.92, -0.75, 0.14, 0.1), dark, bulge=(0.0, 0.0, 0.1, 0.0), rim=0.0),
        part(front, dark, rim=0.0),
        part(lapel, lapel_tone, rim=0.4, twin=True, shown=lapels),
        part(buttons, dark, dashes=(0.0, 3.5), rim=0.0, twin=True, shown=dice.chance(0.4)),
        part(belt, tone * 0.7, shown=dice.chance(0.15)),
        part(pocket, tone * 0.6, twin=True, shown=dice.chance(0.4)),
    ]


def sandal(dice: Dice) -> list[Part]:
    """Sandal: a thin sole, flat, wedged or on a heel, and straps with the ground between them."""
    tone, lift = dice.tone(0.45), np.maximum(dice.between(-0.6, 0.8), 0.0)
    ground, half = dice.between(0.3, 0.6) + lift * 0.25, dice.between(0.04, 0.1)
    strap, dark = dice.between(0.045, 0.09), tone * dice.between(0.5, 1.0)
    heel, toe = ground - lift, dice.between(-0.8, -0.6)
    width, high = dice.between(0.3, 0.55), dice.between(0.2, 0.42)
    ankle, bridge = heel - dice.between(0.3, 0.6), dice.between(0.25, 0.45)
    wedged, laced = (lift > 0.1) & dice.chance(0.25), dice.chance(0.75)
    end, far = toe + width, toe + width + dice.between(0.15, 0.4)
    spike = limb((0.85, heel), (0.85 - 0.12 * lift, ground), dice.between(0.06, 0.16), 0.05)
    wedge = (-0.2, ground), (0.9, heel), (0.9, ground + half), (-0.2, ground + half)
    band_top, second_top = ground - high / 2, ground - high * 0.7 - lift * 0.45
    band = (toe, band_top), (end, band_top - lift * 0.2), (end, ground - lift * 0.15), (toe, ground)
    second = (far - 0.3, second_top), (far, second_top), (far, heel), (far - 0.3, ground)
    cross = limb((toe + width * 0.6, ground - high * 0.8), (bridge + 0.1, ankle), strap, strap)
    loop = (bridge, ankle + 0.1), (0.88, ankle), (0.9, heel), (bridge + 0.1, heel + lift * 0.3)
    front = limb((-0.94, ground), (-0.2, ground - lift * 0.12), half, half)
    rise = limb((-0.3, ground - lift * 0.1), (0.92, heel), half, half)
    band_line = np.where(dice.chance(0.45), 0.0, strap)
    return [
        part(spike, dark, rim=0.1, shown=(lift > 0.1) & ~wedged),
        part(wedge, dark, rim=0.2, shown=wedged),
        part(band, tone, bulge=(high / 2, 0.0, 0.0, 0.05), line=band_line),
        part(cross, tone, rim=0.0, shown=laced & dice.chance(0.5)),
        part(second, tone, bulge=(high / 3, 0.0, 0.0, 0.0), line=strap, shown=dice.chance(0.35)),
        part(loop, tone, bulge=(0.08, 0.03, 0.0, 0.0), rim=0.0, line=strap, shown=laced),
        part(front, dark, bulge=(0.0, 0.0, 0.02, 0.04)),
        part(rise, dark, bulge=(0.0, 0.03, 0.0, 0.0)),
    ]


def shirt(dice: Dice) -> list[Part]:
    """Shirt: long or short sleeves, a folded collar and buttons; some are blouses without."""
    tone, shoulder = dice.tone(), dice.between(0.34, 0.5)
    bottom, flare = dice.between(0.62, 0.97), dice.between(0.92, 1.12)
    pocket = (0.1, -0.35), (0.3, -0.35), (0.3, -0.1), (0.1, -0.1)
    placket, buttons = panel(-0.7, bottom, 0.05, 0.05), panel(-0.6, bottom - 0.1, 0.03, 0.03)
    blouse = dice.chance(0.33)
    clear = np.where(blouse, dice.between(0.0, 0.25), dice.between(0.3, 1.0))
    placket_tone, buttoned = tone * dice.between(0.8, 1.2), clear * dice.between(0.5, 1.0)
    _, hole = neckline(dice, tone, pointed=1.0)
    return [
        *sleeves(dice, tone, shoulder, dice.chance(0.6)),
        torso(dice, tone, shoulder, bottom, flare),
        hole,
        part(placket, placket_tone, rim=0.4, shown=clear),
        part(buttons, tone * 0.4, dashes=(0.0, 3.5), rim=0.0, shown=buttoned),
        folded_collar(dice, tone, ~blouse),
        part(pocket, tone * 0.9, rim=0.6, shown=dice.chance(0.3)),
    ]


def sneaker(dice: Dice) -> list[Part]:
    """Sneaker: a low shoe, some high, on a thick pale sole, with laces and a stripe."""
    tone, ground = dice.tone(), dice.between(0.3, 0.65)
    thick = dice.between(0.12, 0.24)
    high = dice.between(0.4, 0.75) + dice.between(0.0, 0.45) * dice.chance(0.25)
    seam, tongue = ground - thick, dice.between(0.0, 0.25)
    collar = seam - high
    foot, arch = dice.between(-0.3, 0.0), dice.between(0.15, 0.5)
    upper = (-0.95, seam), (tongue, collar), (0.85, collar + 0.05), (0.92, seam + 0.03)
    counter = (0.6, collar + 0.1), (0.86, collar), (0.92, seam), (0.65, seam)
    stripe = limb((foot, seam), (arch, collar + 0.25), 0.06, 0.05)
    lace = limb((-0.4, seam - 0.45 * high), (tongue - 0.1, collar + 0.05), 0.08, 0.08)
    sole = (-0.93, seam), (0.93, seam), (0.9, ground), (-0.88, ground)
    mark = np.where(tone > 0.6, tone * 0.4, 0.95)
    toe_high, toe_tone = dice.between(0.2, 0.3), tone * dice.between(0.7, 1.2)
    laces, laced = dice.between(0.7, 1.0), dice.chance(0.8)
    return [
        part(upper, tone, bulge=(0.04, -0.06, 0.0, 0.0), rim=0.4),
        oval((-0.6, seam), 0.33, toe_high, toe_tone, rim=0.5),
        part(counter, tone * dice.between(0.6, 1.3), shown=dice.chance(0.5)),
        oval(((tongue + 0.85) / 2, collar + 0.02), 0.32, 0.08, tone * 0.35, rim=0.0, weave=0.0),
        part(stripe, mark, rim=0.0, weave=0.0, shown=dice.chance(0.6)),
        part(lace, laces, rim=0.0, weave=0.0, dashes=(7.0, 0.0), shown=laced),
        part(sole, dice.between(0.5, 1.0), bulge=(0.0, 0.03, 0.02, 0.05), rim=0.2, weave=0.0),
    ]


def bag(dice: Dice) -> list[Part]:
    """Bag: a body with a flap, a pocket, a clasp; a handle, a long strap or neither."""
    tone, half = dice.tone(0.3), dice.between(0.5, 0.9)
    top, bottom, flap = dice.between(-0.5, 0.0), dice.between(0.55, 0.92), dice.between(0.2, 0.5)
    lower, upper = half * dice.between(0.9, 1.1), half * dice.between(0.75, 1.0)
    reach, high = dice.between(0.18, 0.5), dice.between(0.3, 0.55)
    thick = dice.between(0.03, 0.06)
    kind, cord = dice.between(0.0, 1.0), tone * dice.between(0.6, 1.1)
    strap = limb((upper * 0.9, top), (0.0, dice.between(-1.0, -0.8)), 0.04, 0.04)
    lid = panel(top, top + flap, upper, upper * 0.95)
    pocket = panel(top + flap, bottom - 0.08, half * 0.6, half * 0.6)
    clasp = panel(top + flap - 0.06, top + flap + 0.1, 0.09, 0.07)
    swell, lidded = dice.between(0.0, 0.06), dice.chance(0.5)
    lid_tone = tone * dice.between(0.6, 1.3)
    return [
        oval((0.0, top), reach, high, cord, line=thick, rim=0.0, shown=kind < 0.6),
        part(strap, cord, bulge=(0.1, 0.0, -0.1, 0.0), rim=0.0, twin=True, shown=kind > 0.75),
        part(panel(top, bottom, upper, lower), tone, bulge=(swell, 0.03, 0.04, 0.03), rim=0.4),
        part(lid, lid_tone, bulge=(swell, 0.0, 0.06, 0.0), rim=0.4, shown=lidded),
        part(pocket, tone * 0.8, rim=0.0, line=0.03, shown=dice.chance(0.3)),
        part(clasp, dice.between(0.0, 1.0), rim=0.0, weave=0.0, shown=dice.chance(0.7)),
    ]


def ankle_boot(dice: Dice) -> list[Part]:
    """Ankle boot: a shaft over the ankle, a foot, a heel; some laced, some with elastic."""
    tone, ground = dice.tone(), dice.between(0.5, 0.85)
    thick, top = dice.between(0.05, 0.12), dice.between(-0.9, -0.3)
    lift = np.maximum(dice.between(-0.15, 0.3), 0.0)
    front, toe, seam = dice.between(-0.1, 0.15), dice.between(-0.95, -0.8), ground - thick * 2
    back, instep = seam - lift, seam - lift * 0.5 - dice.between(0.38, 0.6)
    block = (dice.between(0.3, 0.65), back - 0.04), (0.88, back), (0.86, ground), (0.6, ground)
    sole = limb((toe, seam + thick * 0.6), (0.86, back + thick * 0.6), thick, thick)
    foot = (toe, seam), (front, instep), (0.86, back - 0.3), (0.86, back)
    shaft = (front, top), (0.8, top), (0.86, back), (front - 0.1, instep + 0.3)
    elastic = limb((front + 0.35, top + 0.04), (front + 0.35, instep + 0.1), 0.12, 0.06)
    lace = limb((front + 0.12, top + 0.16), (front - 0.1, instep + 0.2), 0.1, 0.1)
    cuff = (front, top), (0.8, top), (0.81, top + 0.14), (front, top + 0.14)
    sole_tone, vamp = tone * dice.between(0.4, 1.3), dice.between(0.04, 0.14)
    laces, laced = dice.between(0.6, 1.0), dice.chance(0.4)
    return [
        part(block, tone * 0.6, rim=0.1, weave=0.0),
        part(sole, sole_tone, bulge=(0.0, 0.0, 0.0, 0.04), rim=0.1, weave=0.0),
        part(foot, tone, bulge=(vamp, 0.0, 0.0, -0.02), rim=0.35),
        oval((toe + 0.25, seam - 0.1), 0.27, dice.between(0.12, 0.22), tone, rim=0.3),
        part(shaft, tone, bulge=(0.0, 0.04, 0.0, -0.03), rim=0.35),
        part(elastic, tone * 0.5, shown=dice.chance(0.3)),
        part(lace, laces, rim=0.0, weave=0.0, dashes=(0.0, 5.0), shown=laced),
        part(cuff, tone * dice.between(0.6, 1.4), shown=dice.chance(0.5)),
    ]


class Garment(NamedTuple):
    """A class of the set: its name, its cut, and the share of its pictures that has a pattern."""

    name: str
    cut: Callable[[Dice], list[Part]]
    patterned: float


GARMENTS = (
    Garment("T-shirt/top", tshirt, 0.4),
    Garment("Trouser", trouser, 0.25),
    Garment("Pullover", pullover, 0.45),
    Garment("Dress", dress, 0.45),
    Garment("Coat", coat, 0.35),
    Garment("Sandal", sandal, 0.15),
    Garment("Shirt", shirt, 0.5),
    Garment("Sneaker", sneaker, 0.1),
    Garment("Bag", bag, 0.15),
    Garment("Ankle boot", ankle_boot, 0.1),
)
"""Fashion-MNIST's classes in the order of their labels."""
