"use strict";

// All images in the plane, near ones near.

const HUES = [210, 30, 120, 330, 60, 180, 270, 0, 90, 300];
const KINDS = { pca: "widest spread (PCA)", tsne: "neighbours together (t-SNE)" };

function colourOf(classes, label) {
  const at = classes.indexOf(label);
  if (at < 0) return "hsl(0 0% 55%)"; // without a label
  return `hsl(${HUES[at % HUES.length] + Math.floor(at / HUES.length) * 17} 70% ${at % 2 ? 55 : 38}%)`; // light and dark in turn
}

async function showMap(kind = "pca") {
  await latest(WAITING.map, async current => follow((await call("map", { kind })).job, current, null, WAITING.map), found => drawMap(kind, found));
}

function drawMap(kind, found) {
  const canvas = make("canvas", { width: 920, height: 920, role: "application", tabindex: 0, id: "points", "aria-describedby": "map-words",
    "aria-label": `map of ${found.points.length} images; arrow keys go from dot to dot, Enter asks about one` });
  const seen = make("div", { id: "seen" }), told = make("p", { id: "point", role: "status" }, "Point at a dot to see its image; a click asks about it. With the keyboard: arrow keys and Enter.");
  const at = one => [20 + one.x * 880, 900 - one.y * 880];
  let here = null, only = "";
  const draw = () => paintMap(canvas.getContext("2d"), found, at, only, here);
  const point = one => {
    if (here === one) return;
    here = one;
    told.textContent = nameDot(one);
    seen.replaceChildren(one.part === "test" || state.run.methods.length ? picture(`/picture/${one.part}/${one.place}.png`, one.name, "asked") : "");
    draw();
  };
  const nearest = event => {
    const box = canvas.getBoundingClientRect(), scale = 920 / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    return found.points.map(one => { const [a, b] = at(one); return [Math.hypot(a - x, b - y), one]; }).sort((a, b) => a[0] - b[0])[0];
  };
  canvas.addEventListener("mousemove", event => { const [away, one] = nearest(event); if (away < 25) point(one); });
  canvas.addEventListener("click", attempt(event => { const [away, one] = nearest(event); return away < 25 ? ask(one.part, one.place) : null; }));
  canvas.addEventListener("keydown", attempt(event => {
    if (event.key === "Enter" && here) return ask(here.part, here.place);
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return null;
    event.preventDefault();
    return point(here ? findDot(found.points, at, here, way) ?? here : found.points[0]);
  }));
  const marked = found.points.filter(one => one.wrong || one.suspicious);
  show("map", make("section", { class: "panel" }, make("h2", {}, "Map of the images"),
    make("p", { id: "map-words" }, "Images that the model finds alike lie near each other. The axes have no meaning of their own, and two dimensions cannot show every distance."),
    make("div", { class: "row", role: "group", "aria-label": "kind of map" }, Object.entries(KINDS).map(([one, title]) => make("button", { type: "button", "aria-pressed": one === kind ? "true" : "false", onclick: attempt(() => showMap(one)) }, title)),
      choose("show", found.classes, only, value => { only = value; draw(); }, "all classes")),
    make("div", { class: "legend" }, [...found.classes, ...(found.points.every(one => one.label) ? [] : ["no label"])].map(label => drawSwatch(found.classes, label)),
      [["test", "test image"], ["stored", "stored image (paler)"], ["ring", "wrong answer"], ["square", "suspicious label"]].map(([kind, text]) => make("span", {}, make("span", { class: `swatch ${kind}` }), text))),
    make("div", { class: "map" }, canvas, make("div", {}, told, seen)),
    marked.length ? make("details", {}, make("summary", {}, `${marked.length} errors and suspicious labels as a list`), make("ul", {}, marked.map(one => make("li", {}, make("button", { type: "button", onclick: attempt(() => ask(one.part, one.place)) }, nameDot(one)))))) : null));
  draw();
}

function drawSwatch(classes, label) {
  const dot = make("span", { class: "swatch" });
  dot.style.background = colourOf(classes, label);
  return make("span", {}, dot, label);
}

function nameDot(one) {
  return `${one.part === "stored" ? "stored" : "test"} image ${one.name}, ${one.label ? `labelled ${one.label}` : "without a label"}${one.wrong ? ", answered wrongly" : ""}${one.suspicious ? ", suspicious" : ""}`;
}

function paintMap(pen, found, at, only, here) {
  const ink = getComputedStyle(document.documentElement), bad = ink.getPropertyValue("--bad"), plain = ink.getPropertyValue("--edge");
  pen.clearRect(0, 0, 920, 920);
  for (const one of found.points) {
    const [x, y] = at(one), stored = one.part === "stored", off = only && one.label !== only;
    pen.globalAlpha = off ? 0.15 : stored ? 0.45 : 0.9;
    pen.fillStyle = off ? plain : colourOf(found.classes, one.label);
    pen.beginPath(); pen.arc(x, y, stored ? 5 : 6, 0, 7); pen.fill();
    pen.globalAlpha = off ? 0.15 : 1; pen.lineWidth = 3; pen.strokeStyle = bad;
    if (one.wrong) { pen.beginPath(); pen.arc(x, y, 10, 0, 7); pen.stroke(); }
    if (one.suspicious) pen.strokeRect(x - 9, y - 9, 18, 18);
  }
  if (!here) return;
  pen.globalAlpha = 1; pen.lineWidth = 4; pen.strokeStyle = ink.getPropertyValue("--ink");
  pen.beginPath(); pen.arc(...at(here), 15, 0, 7); pen.stroke();
}

// The dot that is nearest in a direction; what lies aside of it counts as twice as far.

function findDot(points, at, here, [across, down]) {
  const [x, y] = at(here);
  let best = null, least = Infinity;
  for (const one of points) {
    const [a, b] = at(one), ahead = (a - x) * across + (b - y) * down, aside = Math.abs((a - x) * down) + Math.abs((b - y) * across);
    if (one !== here && ahead > 0 && ahead + 2 * aside < least) { least = ahead + 2 * aside; best = one; }
  }
  return best;
}
