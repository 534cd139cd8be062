"""What an explanation costs beside a score, measured in one run.

    python benchmarks/explain.py [--model default] [--times 12]

Processor time of one thread for scikit-learn's two sample photos, in turn: the score, its
explanation, and the map drawn over the photo and written as PNG.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_images

import shamisa
from shamisa_cli.explaining import explain_scorer
from shamisa_cli.explaining.draw import save_map


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--times", type=int, default=12)
    options = parser.parse_args()
    scorer = shamisa.load(options.model, workers=0)
    explainer = explain_scorer(scorer, options.model)
    photos = [Image.fromarray(each) for each in load_sample_images().images]
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder, "map.png")
        works: dict[str, Callable[[Image.Image], object]] = {
            "score": scorer.score,
            "explain": explainer.explain,
            "explain and draw": lambda photo: save_map(explainer.explain(photo), drawn),
        }
        taken: dict[str, list[float]] = {name: [] for name in works}
        for number in range(options.times + 1):
            for name, work in works.items():
                each = [seconds(lambda work=work, photo=photo: work(photo)) for photo in photos]
                if number:  # the first round warms up
                    taken[name].append(statistics.mean(each))
    plain = statistics.median(taken["score"])
    print("| | ms a photo | × score |")
    print("| --- | ---: | ---: |")
    for name, values in taken.items():
        median = statistics.median(values)
        print(f"| {name} | {1000 * median:.0f} | {median / plain:.2f} |")


if __name__ == "__main__":
    main()
