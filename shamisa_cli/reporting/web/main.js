// Puts the parts together: what is changed by hand changes the view, and that is drawn.

const THEMES = ["auto", "light", "dark"];
const FIELDS = ["text", "status", "folder", "kind", "mark"];

function refresh() {
  const { chosen, shown } = choose();
  drawHistogram(chosen);
  drawThreshold(chosen);
  drawMarks();
  byId("shown").textContent = shown.length === photos.length
    ? countOf(shown.length, "photo")
    : `${shown.length.toLocaleString("en")} of ${countOf(photos.length, "photo")}`;
  byId("reset").disabled = Object.keys(everything).every((name) => view[name] === everything[name]);
  grid.show(shown);
}

function drawMarks() {
  byId("marked").textContent = `${marks.count("keep")} keep, ${marks.count("reject")} reject`;
  byId("export").disabled = marks.of.size === 0;
  byId("undo").disabled = marks.steps.length === 0;
  byId("not-kept").hidden = storage.works;
}

// After a mark: the list changes only where it is filtered by marks.
function afterMarks() {
  if (view.mark) refresh();
  else {
    drawMarks();
    for (const photo of grid.tiles.keys()) grid.update(photo);
  }
  if (viewer.open) viewer.show();
}

function markCurrent(mark, goOn) {
  const photo = grid.shown[grid.current];
  if (!photo) return;
  marks.set([photo], mark);
  if (goOn && !view.mark) grid.go(grid.current + 1);
  afterMarks();
}

function undoMarks() {
  marks.undo();
  afterMarks();
}

function rejectBelow() {
  const { chosen } = choose();
  marks.set(belowThreshold(chosen).filter((photo) => !marks.get(photo)), "reject");
  refresh();
}

function setRange(from, to) {
  view.from = from;
  view.to = to;
  byId("from").value = from;
  byId("to").value = to;
  grid.current = 0;
  refresh();
}

// From the top; but a photo that is shown large stays, at its place in the new order.
function setOrder(sort) {
  view.sort = byId("sort").value = sort;
  if (!viewer.open) grid.shown = [];
  refresh();
  if (viewer.open) viewer.step(0);
  else scrollTo(0, 0);
}

function resetFilters() {
  Object.assign(view, everything);
  for (const name of Object.keys(everything)) byId(name).value = everything[name];
  refresh();
}

function setTheme(theme) {
  const known = THEMES.includes(theme) ? theme : "auto";
  document.documentElement.dataset.theme = known;
  byId("theme").textContent = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[known];
}

function nextTheme() {
  const now = THEMES.indexOf(document.documentElement.dataset.theme);
  setTheme(THEMES[(now + 1) % THEMES.length]);
  storage.write("theme", document.documentElement.dataset.theme);
}

function drawSummary() {
  const failed = photos.filter((photo) => photo.score === null).length;
  const models = [...new Set(photos.map((photo) => `${photo.model}, head ${photo.head}`))];
  const by = models.length ? ` by ${models.join("; ")}` : "";
  byId("summary").append(`${countOf(photos.length - failed, "photo")} scored${by}`);
  if (!failed) return;
  const button = element("button", { type: "button", id: "failed", textContent: `${failed} failed` });
  button.addEventListener("click", () => {
    resetFilters();
    view.status = byId("status").value = "failed";
    refresh();
  });
  byId("summary").append(" · ", button);
}

function listen() {
  for (const name of FIELDS) {
    byId(name).addEventListener("input", () => {
      view[name] = byId(name).value;
      refresh();
    });
  }
  for (const name of ["from", "to"]) {
    byId(name).addEventListener("input", () => {
      const number = byId(name).valueAsNumber;
      view[name] = Number.isNaN(number) ? everything[name] : number;
      refresh();
    });
  }
  byId("threshold").addEventListener("input", () => {
    view.threshold = byId("threshold").valueAsNumber;
    const { chosen } = choose();
    drawHistogram(chosen);
    drawThreshold(chosen);
  });
  byId("sort").addEventListener("input", () => setOrder(byId("sort").value));
  const clicks = {
    theme: nextTheme,
    help: () => byId("keys").showModal(),
    "show-below": () => setRange(0, view.threshold),
    "reject-below": rejectBelow,
    reset: resetFilters,
    export: () => marks.export(),
    undo: undoMarks,
    previous: () => viewer.step(-1),
    next: () => viewer.step(1),
    keep: () => markCurrent("keep", false),
    reject: () => markCurrent("reject", false),
    unmark: () => markCurrent("", false),
    "show-map": () => viewer.toggleMap(),
    close: () => viewer.close(),
  };
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", act);
  byId("grid").addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    grid.go(grid.shown.indexOf(tile.photo));
    viewer.show();
  });
  document.addEventListener("keydown", onKey);
  addEventListener("scroll", () => requestAnimationFrame(() => grid.draw()), { passive: true });
  addEventListener("resize", () => grid.layout());
}

function start() {
  setTheme(storage.read("theme"));
  marks.load();
  fillSelect(byId("status"), (photo) => [photo.status], 2, [["scored", "scored"]]);
  fillSelect(byId("folder"), (photo) => [photo.folder]);
  fillSelect(byId("kind"), (photo) => photo.kinds, 1);
  drawSummary();
  makeHistogram(setRange);
  listen();
  byId("panel").open = !matchMedia("(max-width: 700px)").matches;
  refresh();
}

start();
