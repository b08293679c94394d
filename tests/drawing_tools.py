"""Tools that return images of every kind, for tests/test_media.py."""

from media import cut, image, multi_picture, png_without_data

from tertulia.tools.base import Image


def phone() -> Image:
    """Return a photo in the format that phones write."""
    return Image(multi_picture(), "image/jpeg")


def damaged() -> list[Image | str]:
    """Return several damaged images and a valid one."""
    return [Image(cut(image("PNG", 300, 300))), "Between.", Image(png_without_data()), Image(image()), Image(b"%PDF-1")]


def wide(count: int) -> list[Image | str]:
    """Return images that are wider than Claude accepts in a request with many images."""
    return ["Wide:", *(Image(image("PNG", 2001, 1)) for _ in range(count))]
