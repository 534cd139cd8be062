// One photo large, with its facts, its mark and its map.

const viewer = {
  photo: null,
  map: false,

  get open() {
    return byId("viewer").open;
  },

  show() {
    const photo = grid.shown[grid.current];
    if (!photo) return this.close();
    this.photo = photo;
    byId("viewer-name").textContent = photo.name;
    byId("viewer-facts").replaceChildren(...factsOf(photo).flatMap(([name, text]) => [
      element("dt", { textContent: name }), element("dd", { textContent: text }),
    ]));
    byId("open").hidden = !photo.file;
    if (photo.file) byId("open").href = photo.file;
    byId("previous").disabled = grid.current === 0;
    byId("next").disabled = grid.current === grid.shown.length - 1;
    this.drawPicture();
    this.drawMap();
    this.drawMark();
    if (!this.open) {
      byId("viewer").showModal();
      byId("viewer").focus(); // no button: Enter closes
    }
  },

  // The file itself, or its preview; if the browser cannot show that, the thumbnail.
  drawPicture() {
    const { photo } = this;
    const sources = [photo.large, photo.thumb].filter((source) => source);
    const image = byId("large");
    const tell = () => {
      image.hidden = true;
      byId("no-picture").textContent = photo.error || photo.gone || "The browser cannot show this file.";
    };
    image.onerror = () => (sources.length ? (image.src = sources.shift()) : tell());
    byId("no-picture").textContent = photo.error;
    image.alt = photo.name;
    image.hidden = false;
    if (sources.length) image.src = sources.shift();
    else {
      image.removeAttribute("src");
      tell();
    }
  },

  drawMap() {
    const there = Boolean(this.photo.map);
    byId("show-map").hidden = !there;
    byId("show-map").setAttribute("aria-pressed", there && this.map);
    byId("map").hidden = !(there && this.map);
    if (there && this.map) byId("map").src = this.photo.map;
    else byId("map").removeAttribute("src");
    byId("viewer").classList.toggle("with-map", there && this.map);
  },

  drawMark() {
    const mark = marks.get(this.photo);
    byId("viewer").dataset.mark = mark;
    byId("keep").setAttribute("aria-pressed", mark === "keep");
    byId("reject").setAttribute("aria-pressed", mark === "reject");
  },

  toggleMap() {
    this.map = !this.map;
    if (this.open) this.drawMap();
  },

  step(by) {
    grid.go(grid.current + by);
    this.show();
  },

  close() {
    byId("viewer").close();
    byId("grid").focus({ preventScroll: true });
  },
};

function factsOf(photo) {
  const off = photo.uncertainty === null ? "" : ` ± ${photo.uncertainty.toFixed(0)}`;
  const facts = [
    ["score", photo.score === null ? "" : `${photo.score.toFixed(2)}${off}`],
    ["better than", photo.better_than === null ? "" : `${photo.better_than}% of everyday photos`],
    ["looks like", photo.looks_like],
    ["note", photo.note],
    ["status", photo.status],
    ["why", photo.error],
    ["size", photo.width ? `${photo.width} × ${photo.height} px` : ""],
    ["looked at", photo.scored_width ? `${photo.scored_width} × ${photo.scored_height} px` : ""],
    ["path", photo.path],
    ["model", `${photo.model}, head ${photo.head}`],
  ];
  return facts.filter(([, text]) => text);
}
