// Which photos are shown, and in which order.

const everything = { from: 0, to: 100, text: "", status: "", folder: "", kind: "", mark: "" };
const view = { ...everything, sort: "best", threshold: 0 };

const byPath = (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.place - b.place);
const failedLast = (a, b) => (a.score === null) - (b.score === null);
const orders = {
  best: (a, b) => failedLast(a, b) || b.score - a.score || byPath(a, b),
  worst: (a, b) => failedLast(a, b) || a.score - b.score || byPath(a, b),
  unsure: (a, b) => failedLast(a, b) || (b.uncertainty ?? 0) - (a.uncertainty ?? 0) || byPath(a, b),
  path: byPath,
  given: (a, b) => a.place - b.place,
};

// All filters but that of scores: the histogram is of these, and the threshold counts them.
function passes(photo) {
  const mark = marks.get(photo);
  return (
    (!view.text || photo.path.toLowerCase().includes(view.text.toLowerCase())) &&
    (!view.status || (view.status === "scored" ? photo.score !== null : photo.status === view.status)) &&
    (!view.folder || photo.folder === view.folder || photo.folder.startsWith(`${view.folder}/`)) &&
    (!view.kind || photo.kinds.includes(view.kind)) &&
    (!view.mark || (view.mark === "none" ? !mark : mark === view.mark))
  );
}

// From the one, and below the other; failed photos only where no range is asked for.
function inRange(photo) {
  if (view.from <= 0 && view.to >= 100) return true;
  return photo.score !== null && photo.score >= view.from && (photo.score < view.to || view.to >= 100);
}

function choose() {
  const chosen = photos.filter(passes);
  const shown = chosen.filter(inRange).sort(orders[view.sort]);
  return { chosen, shown };
}

function belowThreshold(chosen) {
  return chosen.filter((photo) => photo.score !== null && photo.score < view.threshold);
}

// The choices of a select, each with how many photos it has; hidden if there are too few to choose.
function fillSelect(select, valuesOf, least = 2, first = []) {
  const counts = new Map();
  for (const photo of photos) {
    for (const value of valuesOf(photo)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const values = [...counts.keys()].sort();
  const choices = values.map((value) => [value, `${value} (${counts.get(value)})`]);
  for (const [value, label] of [["", "all"], ...first, ...choices]) {
    select.append(element("option", { value, textContent: label }));
  }
  select.closest("label").hidden = values.length < least;
}
