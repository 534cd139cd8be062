// How many photos have which score: twenty bars of five points. A click shows those of a bar.

const BARS = 20;
const WIDTH = 100 / BARS;

function makeHistogram(onPick) {
  for (let n = 0; n < BARS; n++) {
    const bar = element("div", { className: "bar" });
    bar.append(element("div", { className: "fill" }));
    bar.addEventListener("click", () => onPick(n * WIDTH, (n + 1) * WIDTH));
    byId("histogram").append(bar);
  }
}

function drawHistogram(chosen) {
  const counts = new Array(BARS).fill(0);
  for (const photo of chosen) {
    if (photo.score !== null) counts[Math.min(BARS - 1, Math.floor(photo.score / WIDTH))]++;
  }
  const most = Math.max(1, ...counts);
  [...byId("histogram").children].forEach((bar, n) => {
    const middle = (n + 0.5) * WIDTH;
    bar.title = `${n * WIDTH} to ${(n + 1) * WIDTH}: ${countOf(counts[n], "photo")}`;
    bar.classList.toggle("goes", middle < view.threshold);
    bar.classList.toggle("outside", middle < view.from || middle > view.to);
    bar.firstChild.style.height = `${(100 * counts[n]) / most}%`;
    bar.firstChild.hidden = !counts[n];
  });
  const scores = chosen.flatMap((photo) => photo.score ?? []).sort((a, b) => a - b);
  const middle = scores[Math.floor(scores.length / 2)];
  const what = scores.length ? `median ${middle.toFixed(1)}` : "none";
  byId("histogram").setAttribute("aria-label", `Scores of ${countOf(scores.length, "photo")}, ${what}`);
}

function drawThreshold(chosen) {
  const scored = chosen.filter((photo) => photo.score !== null).length;
  const below = belowThreshold(chosen).length;
  const share = scored ? ((100 * below) / scored).toFixed(1) : "0.0";
  byId("threshold-value").textContent = String(view.threshold);
  byId("would-go").textContent = `${below.toLocaleString("en")} of ${countOf(scored, "photo")} would go (${share}%)`;
  byId("show-below").disabled = byId("reject-below").disabled = below === 0;
}
