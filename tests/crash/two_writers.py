"""`python -m crash.two_writers FOLDER`: two threads that write in turn, for those who strike them. Ends with 3 where a
write fails, and with 0 otherwise."""

import os
import sys
import threading
from pathlib import Path

LINES = 3  # of each


def main(folder: Path) -> int:
    turns = [threading.Semaphore(1), threading.Semaphore(0)]
    failed = []

    def write(number: int) -> None:
        file = os.open(folder / f"file{number}", os.O_WRONLY | os.O_CREAT)
        for _ in range(LINES):
            turns[number].acquire()
            try:
                os.write(file, b"line\n")
            except OSError as error:
                failed.append(error)
            turns[1 - number].release()

    threads = [threading.Thread(target=write, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 3 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
