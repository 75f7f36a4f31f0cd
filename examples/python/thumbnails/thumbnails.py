#!/usr/bin/env python3
"""Makes thumbnails of all images in a folder.

    pip install ./clients/python pillow
    python3 thumbnails.py samples FOLDER                 writes four images, and a file that is not an image, to FOLDER
    python3 thumbnails.py make FOLDER OUT                writes a JPEG file of at most 128 x 128 pixels into OUT for each image
    python3 thumbnails.py make FOLDER OUT --kill NAME    kills the process that reads the file NAME
"""
import argparse
import os
import signal

import fantail
from PIL import Image

PIXELS = 128
SAMPLES = 4


def thumbnail(source, out, killer):
    """Writes the thumbnail of an image to the folder `out`, and returns its size."""
    if os.path.basename(source) == killer:
        os.kill(os.getpid(), signal.SIGKILL)
    with Image.open(source) as image:
        image.thumbnail((PIXELS, PIXELS))
        image.convert("RGB").save(os.path.join(out, os.path.splitext(os.path.basename(source))[0] + ".jpg"))
        return image.size


def paint_samples(folder):
    os.makedirs(folder, exist_ok=True)
    for n in range(SAMPLES):
        Image.radial_gradient("L").resize((400 + 200 * n, 800)).save(os.path.join(folder, f"photo-{n:02}.png"))
    with open(os.path.join(folder, "notes.png"), "w", encoding="ascii") as file:
        file.write("not an image\n")


def read_arguments():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    samples = commands.add_parser("samples")
    samples.add_argument("folder", metavar="FOLDER")
    make = commands.add_parser("make")
    make.add_argument("folder", metavar="FOLDER")
    make.add_argument("out", metavar="OUT")
    make.add_argument("--kill", metavar="NAME")
    return parser.parse_args()


def make_thumbnails(arguments):
    os.makedirs(arguments.out, exist_ok=True)
    names = sorted(os.listdir(arguments.folder))
    # A decoder may leak memory or never end. So each call has a time limit, and a process is replaced after 100 images.
    with fantail.Executor(item_timeout_s=60, max_tasks_per_child=100) as executor:
        sizes = executor.map(thumbnail, (os.path.join(arguments.folder, name) for name in names),
                             [arguments.out] * len(names), [arguments.kill] * len(names), return_exceptions=True)
        for name, size in zip(names, sizes):
            if isinstance(size, Exception):
                print(f"{name}: {size.name if isinstance(size, fantail.ItemError) else type(size).__name__}")
            else:
                print(f"{name}: {size[0]} x {size[1]}")


def main():
    arguments = read_arguments()
    if arguments.command == "samples":
        paint_samples(arguments.folder)
    else:
        make_thumbnails(arguments)


if __name__ == "__main__":
    main()
