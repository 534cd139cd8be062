// The photos, as the report was written: columns of a row, and what there is to show.

const byId = (id) => document.getElementById(id);

// The part of the folders that all photos have in common says nothing.
function shortenFolders(photos) {
  const [first = ".", ...others] = photos.map((photo) => photo.folder);
  let common = first.split("/");
  for (const folder of others) {
    const parts = folder.split("/");
    const differs = common.findIndex((part, n) => part !== parts[n]);
    if (differs >= 0) common = common.slice(0, differs);
  }
  for (const photo of photos) {
    const below = photo.folder.split("/").slice(common.length).join("/") || (common.at(-1) ?? "");
    photo.below = below === "." ? "" : below;
  }
  return photos;
}

function readPhotos(text) {
  const { columns, rows } = JSON.parse(text);
  return shortenFolders(rows.map((values, place) => {
    const photo = Object.fromEntries(columns.map((column, n) => [column, values[n]]));
    const end = photo.path.lastIndexOf("/");
    photo.place = place;
    photo.name = photo.path.slice(end + 1) || photo.path || "(no name)";
    photo.folder = end > 0 ? photo.path.slice(0, end) : end === 0 ? "/" : ".";
    photo.kinds = kindsOf(photo.looks_like);
    return photo;
  }));
}

// "motion blur 0.6, JPEG 0.3" names two kinds.
function kindsOf(text) {
  const parts = text.split(",").map((part) => part.replace(/\s+[\d.]+\s*%?\s*$/, "").trim());
  return parts.filter((part) => part);
}

function formatScore(photo) {
  return photo.score === null ? "failed" : photo.score.toFixed(1);
}

// A place from red (0) over yellow to green (100), as a hue.
function hueOf(photo) {
  return photo.score === null ? "0" : String(Math.round(photo.score * 1.2));
}

function countOf(n, what) {
  return `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const photos = readPhotos(byId("data").textContent);
byId("data").remove();
