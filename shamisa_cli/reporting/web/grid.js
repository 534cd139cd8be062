// The photos as tiles. Only those near the window are in the page, however many there are.

const OVERSCAN = 2; // rows above and below the window
const TILE = 190; // px, about the width of a tile
const CAPTION = 46; // px, below the picture
const GAP = 10;

const grid = {
  shown: [],
  current: 0,
  perRow: 1,
  rowHeight: 1,
  tiles: new Map(),
  drawn: "",

  show(shown) {
    const before = this.shown[this.current];
    this.shown = shown;
    const place = before ? shown.indexOf(before) : 0;
    this.current = place >= 0 ? place : Math.max(0, Math.min(this.current, shown.length - 1));
    this.layout();
  },

  layout() {
    const width = byId("grid").clientWidth;
    this.perRow = Math.max(2, Math.floor((width + GAP) / (TILE + GAP)));
    const tile = (width - GAP * (this.perRow - 1)) / this.perRow;
    this.rowHeight = Math.round(tile * 0.75) + CAPTION + GAP;
    const rows = Math.ceil(this.shown.length / this.perRow);
    byId("grid").style.height = `${rows * this.rowHeight}px`;
    byId("window").style.setProperty("--per-row", this.perRow);
    byId("window").style.setProperty("--row", `${this.rowHeight - GAP}px`);
    this.drawn = "";
    this.draw();
  },

  draw() {
    const top = -byId("grid").getBoundingClientRect().top;
    const rows = Math.ceil(this.shown.length / this.perRow);
    const first = Math.max(0, Math.floor(top / this.rowHeight) - OVERSCAN);
    const last = Math.min(rows, Math.ceil((top + innerHeight) / this.rowHeight) + OVERSCAN);
    const wanted = `${first} ${last}`;
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    const seen = this.shown.slice(first * this.perRow, last * this.perRow);
    const kept = new Map(seen.map((photo) => [photo, this.tiles.get(photo) ?? makeTile(photo)]));
    this.tiles = kept;
    byId("window").replaceChildren(...kept.values());
    byId("window").style.transform = `translateY(${first * this.rowHeight}px)`;
    seen.forEach((photo, n) => this.update(photo, first * this.perRow + n));
    this.point();
  },

  update(photo, place = this.shown.indexOf(photo)) {
    const tile = this.tiles.get(photo);
    if (!tile) return;
    tile.setAttribute("aria-posinset", place + 1);
    tile.setAttribute("aria-setsize", this.shown.length);
    tile.dataset.mark = marks.get(photo);
    tile.setAttribute("aria-label", labelOf(photo));
  },

  // Marks where we are, for eyes and for screen readers.
  point() {
    const photo = this.shown[this.current];
    for (const [each, tile] of this.tiles) tile.setAttribute("aria-selected", each === photo);
    const tile = this.tiles.get(photo);
    if (tile) byId("grid").setAttribute("aria-activedescendant", tile.id);
    else byId("grid").removeAttribute("aria-activedescendant");
  },

  go(place) {
    if (!this.shown.length) return;
    this.current = Math.max(0, Math.min(place, this.shown.length - 1));
    const top = byId("grid").getBoundingClientRect().top + scrollY;
    const row = top + Math.floor(this.current / this.perRow) * this.rowHeight;
    if (row < scrollY) scrollTo(0, row - GAP);
    else if (row + this.rowHeight > scrollY + innerHeight) scrollTo(0, row + this.rowHeight - innerHeight);
    this.draw();
    this.point();
  },
};

function labelOf(photo) {
  const facts = [photo.name, photo.score === null ? `failed: ${photo.error}` : `score ${formatScore(photo)}`];
  return [...facts, photo.gone, marks.get(photo)].filter((fact) => fact).join(", ");
}

function makeTile(photo) {
  const tile = element("div", { id: `photo-${photo.place}`, className: "tile" });
  tile.setAttribute("role", "option");
  const picture = element("div", { className: "picture" });
  if (photo.thumb) {
    picture.append(element("img", { src: photo.thumb, loading: "lazy", decoding: "async", alt: "" }));
  } else {
    picture.append(element("p", { textContent: photo.error || photo.gone }));
  }
  const score = element("span", { className: "score", textContent: formatScore(photo) });
  score.classList.toggle("failed", photo.score === null);
  score.style.setProperty("--hue", hueOf(photo));
  const says = photo.looks_like || photo.note || photo.below;
  tile.title = [photo.path, photo.looks_like, photo.note].filter((fact) => fact).join("\n");
  tile.append(
    picture,
    score,
    element("span", { className: "badge" }),
    element("div", { className: "name", textContent: photo.name }),
    element("div", { className: "says", textContent: says }),
  );
  tile.photo = photo;
  return tile;
}
