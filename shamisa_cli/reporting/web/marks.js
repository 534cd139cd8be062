// Marks of the photos by their paths: kept for this page, undone step by step, exported.

const marks = {
  name: `marks ${location.pathname}`,
  of: new Map(),
  steps: [],

  load() {
    try {
      const known = JSON.parse(storage.read(this.name) ?? "{}");
      const entries = Object.entries(known);
      this.of = new Map(entries.filter(([, mark]) => mark === "keep" || mark === "reject"));
    } catch {
      this.of = new Map(); // something else is kept under this name
    }
  },

  get(photo) {
    return this.of.get(photo.path) ?? "";
  },

  // One step for undo, however many photos; "" takes the mark away.
  set(marked, mark) {
    const changed = marked.filter((photo) => this.get(photo) !== mark);
    if (!changed.length) return;
    this.steps.push(changed.map((photo) => [photo.path, this.get(photo)]));
    for (const photo of changed) this.put(photo.path, mark);
    this.save();
  },

  undo() {
    const step = this.steps.pop() ?? [];
    for (const [path, mark] of step) this.put(path, mark);
    this.save();
    return step.length;
  },

  put(path, mark) {
    if (mark) this.of.set(path, mark);
    else this.of.delete(path);
  },

  save() {
    storage.write(this.name, JSON.stringify(Object.fromEntries(this.of)));
  },

  count(mark) {
    return photos.filter((photo) => this.get(photo) === mark).length;
  },

  asCsv() {
    const field = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = photos
      .filter((photo) => this.get(photo))
      .map((photo) => [photo.path, this.get(photo), String(photo.score ?? "")]);
    return [["path", "mark", "score"], ...lines]
      .map((fields) => `${fields.map(field).join(",")}\n`)
      .join("");
  },

  export() {
    const url = URL.createObjectURL(new Blob([this.asCsv()], { type: "text/csv" }));
    const link = element("a", { href: url, download: `${document.querySelector("h1").textContent}-marks.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  },
};
