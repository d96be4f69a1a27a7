"""Integer arithmetic of the hardware in plain Python, to compare models with."""

LIMIT = 2**23


def wrap32(x):
    return (x + 2**31) % 2**32 - 2**31


def toward_zero(product, bits):
    """Divide by a power of two."""
    return abs(product) // 2**bits * (1 if product >= 0 else -1)


def wrap24(x):
    return x - 2 * LIMIT if x > LIMIT else x + 2 * LIMIT if x <= -LIMIT else x


def clip24(x):
    return max(1 - LIMIT, min(LIMIT - 1, x))
