// Everything by keyboard. What is typed into a field stays there.

const MARKS = { k: "keep", r: "reject", u: "" };

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const { target, key } = event;
  if (target.matches("input, select, textarea")) {
    if (key === "Escape") byId("grid").focus();
    return;
  }
  const onButton = target.closest("button, a, summary");
  if (onButton && (key === "Enter" || key === " ")) return;
  const act = moves(key) ?? actions[key] ?? actions[key.toLowerCase()] ?? null;
  if (!act) return;
  event.preventDefault();
  act(key);
}

// Where a key goes: a photo to the side, and in the grid a row or a screen up or down.
function moves(key) {
  const row = viewer.open ? 1 : grid.perRow;
  const screen = viewer.open ? 1 : row * Math.max(1, Math.floor(innerHeight / grid.rowHeight));
  const by = {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row,
    PageUp: -screen, PageDown: screen, Home: -Infinity, End: Infinity,
  }[key];
  if (by === undefined) return undefined;
  return () => {
    grid.go(grid.current + by);
    if (viewer.open) viewer.show();
    else byId("grid").focus({ preventScroll: true });
  };
}

function markWithKey(key) {
  markCurrent(MARKS[key.toLowerCase()], key !== key.toLowerCase());
}

const actions = {
  Enter: () => (viewer.open ? viewer.close() : viewer.show()),
  " ": () => (viewer.open ? viewer.close() : viewer.show()),
  Escape: () => viewer.open && viewer.close(),
  k: markWithKey,
  r: markWithKey,
  u: markWithKey,
  z: undoMarks,
  m: () => viewer.toggleMap(),
  s: () => setOrder(view.sort === "best" ? "worst" : "best"),
  e: () => marks.export(),
  d: () => nextTheme(),
  "/": () => {
    if (viewer.open) viewer.close();
    byId("panel").open = true;
    byId("text").focus();
  },
  "?": () => byId("keys").showModal(),
};
