"use strict";

// The relevance of pixels, on demand.

const METHODS = { gradient_x_input: "gradient x input (quick)", integrated_gradients: "integrated gradients (adds up)", lrp: "LRP (by layers)", grad_cam: "Grad-CAM (coarse regions)", occlusion: "occlusion (slow)" };

function drawHeatmaps() {
  if (!state.run.methods.length) return null;
  const place = make("div", { id: "maps" });
  const select = make("select", { id: "method" }, state.run.methods.map(name => make("option", { value: name }, METHODS[name] ?? name.replaceAll("_", " "))));
  return make("section", { class: "panel", id: "heatmaps", tabindex: -1, "aria-label": "Heatmaps" }, make("h2", {}, "Which pixels?"),
    make("p", {}, "Which pixels of this image, and of the stored images that count most, spoke for the answer and which against it. Methods disagree; none is the truth."),
    make("div", { class: "row" }, make("label", {}, "method", select), make("button", { type: "button", onclick: attempt(event => findPixels(select.value, place, event.target)) }, "Show")), place);
}

async function findPixels(method, place, button) {
  const asked = state.answer;
  button.disabled = true;
  try {
    const { job } = await call("heatmaps", { ...state.asked, method });
    const found = await follow(job, () => place.isConnected, place, "Finding the relevance of pixels");
    if (!found) return; // another image was asked about
    const evidence = (asked.after || asked.before).evidence.slice(0, Math.min(11, found.evidence.length));
    place.replaceChildren(make("p", {}, found.words), make("ul", { class: "cards" },
      drawPixels(asked.picture, found.image, "this image", "relevance of the image's pixels"),
      evidence.map((one, number) => drawPixels(one.picture, found.evidence[number], one.name, `relevance of ${one.name}`))));
    speak("The heatmaps are there.");
  } finally { button.disabled = false; }
}

function drawPixels(address, map, name, alt) {
  return make("li", { class: "card" }, picture(address, name), picture(map, alt), named(name));
}

// Waits for a computation; null where nobody waits for it any more.

async function follow(job, current, place, title) {
  const bar = make("progress", { "aria-label": title });
  place?.replaceChildren(make("p", {}, `${title} ...`), bar);
  while (current()) {
    const found = await call("job", { job });
    if (found.error || found.result) place?.replaceChildren();
    if (found.error) throw new Error(found.error);
    if (found.result) return found.result;
    if (found.total > 1) { bar.max = found.total; bar.value = found.done; }
    await new Promise(done => setTimeout(done, 200));
  }
  return null;
}
