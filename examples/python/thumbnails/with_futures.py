#!/usr/bin/env python3
"""thumbnails.py with concurrent.futures.ProcessPoolExecutor.

    python3 with_futures.py make FOLDER OUT                writes the thumbnails
    python3 with_futures.py make FOLDER OUT --kill NAME    each image that has no thumbnail yet fails with BrokenProcessPool
"""
import concurrent.futures
import os

from thumbnails import read_arguments, thumbnail


def main():
    arguments = read_arguments()
    os.makedirs(arguments.out, exist_ok=True)
    names = sorted(os.listdir(arguments.folder))
    with concurrent.futures.ProcessPoolExecutor() as executor:
        # Not map(): the results of map() end with the first exception.
        futures = [executor.submit(thumbnail, os.path.join(arguments.folder, name), arguments.out, arguments.kill)
                   for name in names]
        for name, future in zip(names, futures):
            error = future.exception()
            print(f"{name}: {type(error).__name__ if error else '%d x %d' % future.result()}")


if __name__ == "__main__":
    main()
