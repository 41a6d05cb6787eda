"use strict";

// The page of whence view. Everything comes from its own address; texts are set as texts, so that no
// name of a file can become markup.

const visitor = [...crypto.getRandomValues(new Uint8Array(16))].map(n => n.toString(16).padStart(2, "0")).join("");
const main = document.getElementById("main");
const state = { run: null, asked: null, answer: null, view: "ask", uploads: [], kept: new Set(), saved: "[]" };
const VIEWS = { ask: "Ask", tests: "Test images", overview: "Overview", stored: "Stored images", map: "Map", threshold: "Threshold" };
const WAITING = { ask: "Asking ...", tests: "Answering the test images; the first time this takes a while ...", overview: "Answering all test images and summing up; the first time this takes a while ...",
  stored: "Listing the stored images ...", map: "Drawing the map, for which all images are compared; this may take a minute ...", threshold: "Answering the test images for this class; the first time this takes a while ..." };

function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== ""));
  return element;
}

function say(text, error = false) {
  const line = document.getElementById("status");
  line.textContent = text;
  line.className = error ? "error" : "";
}

function call(action, given = {}) {
  return send(`/api/${action}`, JSON.stringify(given));
}

async function send(address, body) {
  let response;
  try {
    response = await fetch(address, { method: "POST", headers: { "X-Whence": visitor }, body });
  } catch {
    throw new Error("The viewer does not answer; it may have been stopped.");
  }
  const found = await response.json().catch(() => ({ error: `The viewer answered ${response.status}.` }));
  if (!response.ok) throw new Error(found.error || `The viewer answered ${response.status}.`);
  return found;
}

function attempt(work) {
  return async event => {
    try { await work(event); } catch (error) { say(error.message, true); }
  };
}

// What was asked for last wins: every view and every question takes a number, and what comes of an
// older one is dropped, its error too.

let newest = 0;

async function latest(waiting, work, draw) {
  const mine = ++newest;
  const current = () => mine === newest;
  say(waiting);
  main.setAttribute("aria-busy", "true");
  try {
    const found = await work(current);
    if (!current()) return;
    say("");
    draw(found);
  } catch (error) {
    if (current()) throw error;
  } finally {
    if (current()) main.removeAttribute("aria-busy");
  }
}

// What is drawn anew has the focus where it was: a person at a keyboard goes on from there.

function keyOf(element) {
  const within = element.closest("section[id], nav[id]")?.id ?? "";
  const card = element.closest("li[data-index]");
  const own = card ? "" : element.id || element.getAttribute("aria-label") || element.textContent;
  return { within, key: [within, card ? `${card.parentElement.className} ${card.dataset.index}` : "", element.tagName, element.type ?? "", own].join("|") };
}

function redraw(place, ...parts) {
  const held = place.contains(document.activeElement) && document.activeElement !== place ? keyOf(document.activeElement) : null;
  place.replaceChildren(...parts);
  if (!held) return;
  const again = [...place.querySelectorAll("button, input, select, summary, canvas")].find(one => !one.disabled && keyOf(one).key === held.key);
  (again ?? document.getElementById(held.within) ?? place).focus();
}

function speak(text) {
  document.getElementById("spoken").textContent = text;
}

const percent = share => `${(100 * share).toFixed(1)}%`;

function picture(address, alt, extra = "") {
  const sharpen = event => event.target.classList.toggle("small", event.target.naturalWidth <= 64); // its pixels stay squares
  return address ? make("img", { src: address, alt, class: extra, loading: "lazy", onload: sharpen }) : make("p", { class: "soft" }, "no picture");
}

function choose(label, options, current, onchange, empty = null) {
  const select = make("select", { onchange: event => onchange(event.target.value) },
    empty === null ? null : make("option", { value: "" }, empty),
    options.map(one => Array.isArray(one) ? make("option", { value: one[0] }, one[1]) : make("option", { value: one }, one)));
  select.value = current;
  return make("label", {}, label, select);
}

// ---- the frame

function drawViews() {
  const nav = document.getElementById("views");
  redraw(nav, ...Object.entries(VIEWS).map(([name, title]) =>
    make("button", { type: "button", "aria-current": state.view === name ? "page" : null, onclick: () => open(name) }, title)));
}

function open(view) {
  state.view = view;
  drawViews();
  scrollTo(0, 0);
  main.replaceChildren(make("section", { class: "panel", id: "waiting" }, make("h2", {}, VIEWS[view]), make("progress", { "aria-label": WAITING[view] })));
  attempt(async () => {
    try { await SHOW[view](); } catch (error) {
      document.getElementById("waiting")?.replaceChildren(make("h2", {}, VIEWS[view]), make("p", {}, "This could not be shown; the sentence above says why."),
        make("button", { type: "button", onclick: () => open(view) }, "Try again"));
      throw error;
    }
  })();
}

function show(view, ...parts) {
  if (state.view !== view) return; // another one was opened while this one was computed
  redraw(main, ...parts.flat());
}

// ---- ask

async function ask(part, place) {
  await latest(WAITING.ask, () => call("ask", { part, place }), found => {
    state.asked = { part, place };
    state.answer = found;
    if (found.stale) say("The run folder was replaced since the viewer started; start it again to see the new run.", true);
    if (state.view !== "ask") { state.view = "ask"; drawViews(); scrollTo(0, 0); }
    drawAsk();
    speak(sayAnswer(found));
  });
}

function sayAnswer({ before, after, beside }) {
  const said = one => `${one.answer}, ${percent(Math.max(...one.classes.map(other => other.share)))}. ${one.doubt.title}`;
  const told = after ? `After your changes: ${said(after)}. Before: ${before.answer}.` : `The answer is ${said(before)}.`;
  return beside ? `${told} ${state.run.beside} says ${beside.answer}.` : told;
}

async function again() {
  if (state.asked) await ask(state.asked.part, state.asked.place);
  else await latest("", () => null, drawAsk);
}

async function bring(files) {
  const most = 100;
  if (files.length > most) throw new Error(`Choose at most ${most} images at once, you chose ${files.length.toLocaleString("en")}; none was read. whence predict answers for a whole folder.`);
  let last = null;
  const before = newest;
  const refused = [];
  for (const file of files) {
    say(`Reading ${file.name} ...`);
    try {
      last = await send(`/api/bring?name=${encodeURIComponent(file.name)}`, file);
      state.uploads.push(last);
    } catch (error) { refused.push(error.message); }
  }
  say("");
  if (last && newest === before) await ask("upload", last.upload);
  else if (last) say("Your images are read; the view Ask has them."); // something else was opened meanwhile
  if (refused.length) say(refused.length > 1 ? `${refused[0]} (and ${refused.length - 1} more)` : refused[0], true);
}

function drawChooser() {
  const input = make("input", { type: "file", multiple: "", id: "file", accept: "image/*", onchange: attempt(event => bring([...event.target.files])) });
  const zone = make("div", { class: "drop" }, make("p", {}, "Drop an image anywhere on this page, or"), input, make("label", { class: "file", for: "file" }, "Choose an image"));
  const tests = state.run.tests;
  const number = make("input", { type: "number", min: 0, max: tests - 1, value: state.asked?.part === "test" ? state.asked.place : 0, id: "test-number" });
  return make("section", { class: "panel", id: "image", tabindex: -1, "aria-label": "The image" },
    make("h2", {}, "The image"), zone,
    tests ? make("form", { class: "row", onsubmit: attempt(event => { event.preventDefault(); return ask("test", Number(number.value)); }) },
      make("label", {}, "or test image", number), make("button", { type: "submit" }, "Ask")) : null, drawBrought(),
    state.answer ? drawAsked() : make("p", { class: "soft" }, tests ? `There are ${tests} test images, 0 to ${tests - 1}.` : "This run's test images are not here."));
}

function drawBrought() {
  if (state.uploads.length < 2) return null;
  const chosen = state.asked?.part === "upload" ? String(state.asked.place) : "";
  return choose("or one of yours", state.uploads.map(one => [String(one.upload), one.name]), chosen, attempt(value => value ? ask("upload", Number(value)) : null), chosen ? null : "choose");
}

function drawAsked() {
  const { name, truth, picture: address } = state.answer;
  const brought = state.asked.part === "upload" ? state.uploads.find(one => one.upload === state.asked.place) : null;
  return [picture(address, `the image asked about: ${name}`, "asked"), make("p", { class: "name" }, name), (brought?.notes ?? []).map(text => make("p", { class: "soft" }, text)),
    truth ? make("p", {}, `It is labelled ${truth}.`) : null, drawAdd()];
}

function drawAdd() {
  if (!state.run.memory || state.asked.part !== "upload") return null;
  const select = make("select", { id: "add-label", "aria-label": "class of this image" }, state.run.classes.map(name => make("option", {}, name)));
  return make("div", { class: "row" }, make("label", {}, "It is", select),
    make("button", { type: "button", onclick: attempt(() => change({ kind: "add", upload: state.asked.place, label: select.value })) }, "Add it to the memory"));
}

function drawAnswer(title, found, id) {
  const truth = state.answer.truth;
  const verdict = truth ? make("p", { class: `verdict ${truth === found.answer ? "right" : "wrong"}` }, truth === found.answer ? "right" : `wrong: it is labelled ${truth}`) : null;
  const uncalibrated = !found.calibrated && id === "after" ? make("p", { class: "soft" }, "Save the changed memory, and it is measured.") : null;
  return make("section", { class: "panel", id, tabindex: -1, "aria-label": title }, make("h2", {}, title),
    make("p", { class: "answer" }, found.answer), verdict,
    make("ul", { class: "bars", "aria-label": "shares of the classes" }, found.classes.map(one =>
      make("li", {}, make("span", {}, one.name), make("meter", { min: 0, max: 1, value: one.share, "aria-label": one.name }), make("span", {}, percent(one.share))))),
    make("div", { class: `doubt ${found.doubt.level}` }, make("strong", {}, found.doubt.title), found.doubt.sentences.map(text => make("p", {}, text)), uncalibrated),
    found.reading ? make("p", {}, found.reading) : null,
    found.nearest.length > 1 ? [make("h3", {}, "The most similar stored image of each likely class"),
      make("ul", { class: "cards nearest" }, found.nearest.map(one => drawCard(one, id, false)))] : null,
    found.evidence.length ? [make("h3", {}, "What the answer was computed from"), id === "before" ? drawWords() : null,
      make("ul", { class: "cards evidence" }, found.evidence.slice(0, 12).map(one => drawCard(one, id, true))),
      found.evidence.length > 12 ? make("details", { class: "more" }, make("summary", {}, `${found.evidence.length - 12} more with a weight`),
        make("ul", { class: "cards" }, found.evidence.slice(12).map(one => drawCard(one, id, true))), make("p", { class: "soft" }, found.rest)) : null] : null);
}

function drawWords() {
  return make("details", { class: "soft" }, make("summary", {}, "What the words on the cards mean"), make("ul", {},
    make("li", {}, "weight: the share of this stored image in the answer; all weights together are 100%"),
    make("li", {}, "similarity: how alike the model finds the two images; 1 is the same, 0 and below nothing in common"),
    make("li", {}, "the list of classes: the label of the stored image; choose another one to see what the answer would be"),
    make("li", {}, "counts: take the tick away, and the answer is computed without this image"),
    make("li", {}, "pin: this image stays when you leave out its class or its files")));
}

function drawCard(one, id, weighs) {
  const mine = id !== "beside" && state.run.memory;
  const added = mine && one.picture && one.picture.includes("/upload/");
  const tick = mine && !added ? make("label", {}, make("input", { type: "checkbox", checked: !one.removed, "aria-label": `${one.name} counts`,
    onchange: attempt(event => change({ kind: event.target.checked ? "tick" : "untick", index: one.index })) }), "counts") : null;
  const pin = mine && !added ? make("button", { type: "button", "aria-pressed": one.pinned ? "true" : "false", "aria-label": `${one.pinned ? "unpin" : "pin"} ${one.name}`,
    onclick: attempt(() => change({ kind: one.pinned ? "unpin" : "pin", index: one.index })) }, one.pinned ? "pinned" : "pin") : null;
  const label = mine && !added ? make("select", { "aria-label": `label of ${one.name}`, onchange: attempt(event => change({ kind: "relabel", index: one.index, label: event.target.value })) },
    state.run.classes.map(name => make("option", { value: name }, name)), state.run.classes.includes(one.label) ? null : make("option", { value: one.label, disabled: true }, one.label)) : null;
  if (label) label.value = one.label;
  return make("li", { class: `card ${one.role || ""} ${one.removed ? "out" : ""}`, "data-index": one.index },
    picture(one.picture, `${one.name}, labelled ${one.label}`),
    weighs && one.weight ? [make("b", {}, `weight ${percent(one.weight)}`), make("meter", { min: 0, max: 1, value: one.weight, "aria-label": "weight" })] : one.weight === 0 ? make("b", {}, "no weight") : make("b", {}, `weight ${percent(one.weight)}`),
    make("span", {}, `similarity ${one.similarity.toFixed(3)}`),
    label || make("span", {}, one.label), make("span", { class: "name" }, one.name),
    one.note ? make("span", { class: "soft" }, one.note) : null, one.relabelled ? make("span", { class: "changed" }, "relabelled") : null,
    tick || pin ? make("div", { class: "row" }, tick, pin) : null);
}

function drawEdits() {
  if (!state.run.memory) return null;
  const edits = state.run.edits;
  const name = make("input", { id: "save-name", size: 12, autocomplete: "off" });
  const pattern = make("input", { id: "pattern", size: 10, autocomplete: "off" });
  const label = make("select", { id: "class-out", value: state.answer?.before.answer }, state.run.classes.map(one => make("option", {}, one)));
  return make("section", { class: "panel", id: "memory", tabindex: -1, "aria-label": "The memory" }, make("h2", {}, "The memory"),
    make("p", {}, edits.changed ? `${edits.size.toLocaleString("en")} stored images after your changes; the run has ${state.run.memory.toLocaleString("en")}.` : `${edits.size.toLocaleString("en")} stored images.`),
    make("div", { class: "row" }, make("button", { type: "button", disabled: !edits.undo, onclick: attempt(() => edit("undo")) }, "Undo"),
      make("button", { type: "button", disabled: !edits.redo, onclick: attempt(() => edit("redo")) }, "Redo")),
    make("div", { class: "row" }, make("label", {}, "class", label), make("button", { type: "button", onclick: attempt(() => change({ kind: "untick_class", label: label.value })) }, "Leave this class out")),
    state.run.files ? make("div", { class: "row" }, make("label", {}, `files, such as ${state.run.classes[0]}/*`, pattern), make("button", { type: "button", onclick: attempt(() => change({ kind: "untick_files", pattern: pattern.value })) }, "Leave these files out")) : null,
    edits.steps.length ? make("ol", { class: "steps", "aria-label": "changes" }, edits.steps.map(text => make("li", {}, text))) : make("p", { class: "soft" }, "Nothing is changed. Take the tick from an image, and see what the answer would be."),
    make("form", { class: "row", onsubmit: attempt(event => { event.preventDefault(); return save(name.value, event.target.querySelector("button")); }) },
      make("label", {}, "name", name), make("button", { type: "submit", disabled: !edits.changed }, "Save memory")),
    make("button", { type: "button", disabled: !edits.changed, onclick: attempt(download) }, "Export changes (CSV)"));
}

// Steps are sent one after another, so that the list that comes last is the newest.

let editing = Promise.resolve();

function inTurn(action, given = {}) {
  const step = editing.then(() => call(action, given)).then(edits => { state.run.edits = edits; });
  editing = step.catch(() => null);
  return step;
}

async function change(given) { await edit("change", given); }

async function edit(action, given = {}) {
  try { await inTurn(action, given); } catch (error) {
    if (state.view === "ask") drawAsk(); // the controls say again what stands
    throw error;
  }
  if (state.view === "ask") await again();
}

async function save(name, button) {
  const steps = JSON.stringify(state.run.edits.steps);
  button.disabled = true;
  say("Saving: the new memory is calibrated and measured on all validation and test images ...");
  try {
    const saved = await call("save", { name });
    state.saved = steps;
    say(`Saved as ${saved.folder}${saved.accuracy === null ? "" : `; accuracy on the test images ${percent(saved.accuracy)}`}. ${saved.notes.join(" ")}`.trim());
  } finally { button.disabled = false; }
}

async function download() {
  const { csv } = await call("edits");
  const link = make("a", { href: URL.createObjectURL(new Blob([csv], { type: "text/csv" })), download: "corrections.csv" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say("Written: corrections.csv, which whence edit --corrections takes.");
}

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
  return make("li", { class: "card" }, picture(address, name), picture(map, alt), make("span", { class: "name" }, name));
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

function drawAsk() {
  const found = state.answer;
  const changed = found?.after && found.after.answer !== found.before.answer;
  const answers = found ? [
    drawAnswer(found.after ? "Before your changes" : "The answer", found.before, "before"),
    found.after ? drawAnswer("After your changes", found.after, "after") : null,
    found.beside ? drawAnswer(`${state.run.beside} says`, found.beside, "beside") : null] : [];
  show("ask", make("div", { class: "columns" }, make("div", {}, drawChooser(), drawEdits()),
    make("div", {}, changed ? make("p", { class: "changed", id: "changed" }, `Your changes turn the answer from ${found.before.answer} into ${found.after.answer}.`) : null,
      make("div", { class: "answers" }, answers), found ? drawHeatmaps() : make("section", { class: "panel" }, make("h2", {}, "Begin with an image"),
        make("p", {}, "Drop one, choose one, or take a test image. You see the answer, the stored images it was computed from, and what the answer becomes when you leave some of them out.")))));
}

// ---- browse

const search = { tests: { search: "", truth: "", predicted: "", order: "place", first: 0 }, stored: { search: "", label: "", first: 0 } };

function drawPages(total, first, count, turn) {
  return make("div", { class: "row" }, make("button", { type: "button", disabled: first === 0, onclick: () => turn(Math.max(0, first - 48)) }, "Previous"),
    make("span", {}, total ? `${first + 1} to ${first + count} of ${total.toLocaleString("en")}` : "none"),
    make("button", { type: "button", disabled: first + count >= total, onclick: () => turn(first + 48) }, "Next"));
}

async function showTests() {
  const wanted = search.tests;
  await latest(WAITING.tests, () => call("tests", wanted), drawTests);
}

function drawTests(found) {
  const wanted = search.tests;
  const turn = given => { Object.assign(wanted, { first: 0 }, given); attempt(showTests)(); };
  const field = make("input", { type: "search", value: wanted.search, placeholder: "part of a file name", "aria-label": "search by file", onchange: event => turn({ search: event.target.value }) });
  show("tests", make("section", { class: "panel" }, make("h2", {}, "Test images"),
    make("div", { class: "row" }, field, choose("labelled", state.run.classes, wanted.truth, truth => turn({ truth }), "any"),
      choose("answered", state.run.classes, wanted.predicted, predicted => turn({ predicted }), "any"),
      choose("order", [["place", "as in the data"], ["doubt", "most doubtful first"], ["wrong", "wrong answers, the surest first"]], wanted.order, order => turn({ order }))),
    drawPages(found.total, wanted.first, found.items.length, first => turn({ first })),
    make("ul", { class: "cards" }, found.items.map(one => make("li", { class: "card" },
      make("button", { type: "button", class: "image", "aria-label": `ask about ${one.name}`, onclick: attempt(() => ask("test", one.place)) }, picture(one.picture, one.name)),
      make("b", {}, one.predicted, " ", percent(one.share)), one.wrong ? make("span", { class: "verdict wrong" }, `labelled ${one.truth}`) : make("span", { class: "verdict right" }, "right"),
      make("span", { class: "name" }, one.name))))));
}

async function showStored() {
  const wanted = search.stored;
  await latest(WAITING.stored, () => call("stored", wanted), drawStoredImages);
}

function drawStoredImages(found) {
  const wanted = search.stored;
  const turn = given => { Object.assign(wanted, { first: 0 }, given); attempt(showStored)(); };
  const field = make("input", { type: "search", value: wanted.search, placeholder: "part of a file name", "aria-label": "search by file", onchange: event => turn({ search: event.target.value }) });
  show("stored", make("section", { class: "panel" }, make("h2", {}, "Stored images"),
    make("div", { class: "row" }, state.run.files ? field : null, choose("labelled", state.run.classes, wanted.label, label => turn({ label }), "any")),
    drawPages(found.total, wanted.first, found.items.length, first => turn({ first })), drawStored(found.items)));
}

function drawStored(items, more = () => null) {
  return make("ul", { class: "cards" }, items.map(one => make("li", { class: "card" },
    make("button", { type: "button", class: "image", "aria-label": `ask about ${one.name}`, onclick: attempt(() => ask("stored", one.index)) }, picture(one.picture, one.name)),
    make("b", {}, one.label), make("span", { class: "name" }, one.name), one.note ? make("span", { class: "soft" }, one.note) : null,
    one.removed ? make("span", { class: "changed" }, "left out") : null, one.relabelled ? make("span", { class: "changed" }, "relabelled") : null, more(one))));
}

async function showOverview() {
  await latest(WAITING.overview, () => call("overview"), drawOverview);
}

function drawOverview(found) {
  const rows = found.confusion.map((row, truth) => make("tr", {}, make("th", { scope: "row" }, found.classes[truth]), row.map((count, predicted) =>
    make("td", { class: count ? (truth === predicted ? "hit" : "miss") : "" }, count ? make("button", { type: "button", "aria-label": `${count} labelled ${found.classes[truth]} answered ${found.classes[predicted]}`,
      onclick: () => { Object.assign(search.tests, { search: "", truth: found.classes[truth], predicted: found.classes[predicted], first: 0 }); open("tests"); } }, count.toLocaleString("en")) : "0"))));
  show("overview",
    make("section", { class: "panel" }, make("h2", {}, "Answers and labels"), make("p", {}, `${found.right.toLocaleString("en")} of ${found.images.toLocaleString("en")} test images are answered as labelled (${percent(found.right / found.images)}). Rows are labels, columns answers; a number opens its images.`),
      make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, make("td", { class: "soft" }, "label, answer"), found.classes.map(name => make("th", { scope: "col" }, name)))), make("tbody", {}, rows)))),
    make("section", { class: "panel" }, make("h2", {}, "Doubt and errors"), make("p", {}, found.calibrated ? "The test images in groups, the least doubtful first: how often the model expected to be wrong, and how often it was. The two are alike where doubt can be trusted." : "The test images in groups, the least doubtful first. This model is not calibrated: doubt is what the highest probability lacks to 100%, and need not be like the share of wrong answers."),
      make("div", { class: "scroll" }, make("table", { id: "doubts" }, make("thead", {}, make("tr", {}, [found.calibrated ? "expected wrong" : "doubt", "wrong", "images"].map(text => make("th", { scope: "col" }, text)))),
        make("tbody", {}, found.doubt.map(one => make("tr", {}, make("td", {}, percent(one.doubt)), make("td", {}, make("meter", { min: 0, max: 1, value: one.wrong, "aria-label": "wrong" }), percent(one.wrong)), make("td", {}, one.images))))))),
    state.run.memory ? [make("section", { class: "panel" }, make("h2", {}, "Stored images most used"), make("p", {}, "Those with the most weight in the answers to all test images together."), drawStored(found.used, one => make("span", {}, `in ${one.answers.toLocaleString("en")} answers`))),
      make("section", { class: "panel" }, make("h2", {}, "Most used in wrong answers"), make("p", {}, "Those with the most weight in wrong answers, and which part of all their weight that is. A label may be wrong here, or an image unlike its class."), found.misleading.length ? drawStored(found.misleading, one => make("span", {}, `${percent(one.part)} of its weight is in wrong answers`)) : make("p", {}, "None: no answer is wrong.")),
      make("section", { class: "panel", id: "suspicious" }, make("h2", {}, "Suspicious labels"), make("p", {}, "The other stored images speak for another label. Accept the label that they speak for, or reject the suspicion."),
        found.suspicious.length ? drawStored(found.suspicious, one => drawSuspicion(one)) : make("p", {}, "None."))] : null);
}

function drawSuspicion(one) {
  const row = make("div", { class: "row" });
  if (one.relabelled) return row;
  const done = text => {
    const told = make("span", { class: "changed", tabindex: -1 }, text);
    row.replaceChildren(told);
    told.focus();
  };
  row.append(make("button", { type: "button", onclick: attempt(async () => { await inTurn("change", { kind: "relabel", index: one.index, label: one.suggested }); done(`now ${one.suggested}`); }) }, `Accept ${one.suggested}`),
    state.kept.has(one.index) ? make("span", { class: "changed" }, "label stays") : make("button", { type: "button", onclick: () => { state.kept.add(one.index); done("label stays"); } }, "Reject"));
  return row;
}

// ---- map

const HUES = [210, 30, 120, 330, 60, 180, 270, 0, 90, 300];
const KINDS = { pca: "widest spread (PCA)", tsne: "neighbours together (t-SNE)" };

function colourOf(classes, label) {
  const at = classes.indexOf(label);
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
    make("div", { class: "legend" }, found.classes.map(label => { const dot = make("span", { class: "swatch" }); dot.style.background = colourOf(found.classes, label); return make("span", {}, dot, label); }),
      [["test", "test image"], ["stored", "stored image (paler)"], ["ring", "wrong answer"], ["square", "suspicious label"]].map(([kind, text]) => make("span", {}, make("span", { class: `swatch ${kind}` }), text))),
    make("div", { class: "map" }, canvas, make("div", {}, told, seen)),
    marked.length ? make("details", {}, make("summary", {}, `${marked.length} errors and suspicious labels as a list`), make("ul", {}, marked.map(one => make("li", {}, make("button", { type: "button", onclick: attempt(() => ask(one.part, one.place)) }, nameDot(one)))))) : null));
  draw();
}

function nameDot(one) {
  return `${one.part === "stored" ? "stored" : "test"} image ${one.name}, labelled ${one.label}${one.wrong ? ", answered wrongly" : ""}${one.suspicious ? ", suspicious" : ""}`;
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

// ---- threshold

async function showThreshold(name = state.run.classes[0]) {
  await latest(WAITING.threshold, () => call("threshold", { class: name }), found => drawThreshold(name, found));
}

function drawThreshold(name, found) {
  const head = found.kind === "head start";
  const numbers = make("div", { class: "numbers", role: "status" });
  const cost = make("input", { type: "number", min: 0.01, step: "any", value: 10, id: "cost" });
  const slider = make("input", { type: "range", min: found.low, max: found.high, step: (found.high - found.low) / 1000, value: head ? 0 : 0.5, id: "threshold", "aria-describedby": "threshold-words" });
  const total = found.of_class.filter(Boolean).length;
  const box = (text, value) => make("div", {}, text, make("b", {}, value));
  const draw = () => {
    const at = Number(slider.value);
    slider.setAttribute("aria-valuetext", at.toFixed(3));
    let hits = 0, answers = 0;
    found.values.forEach((value, number) => { if (head ? value <= at : value >= at) { answers += 1; hits += found.of_class[number]; } });
    numbers.replaceChildren(box(head ? "head start in similarity" : "probability from which on", at.toFixed(3)), box(`${name} found (recall)`, total ? `${percent(hits / total)} (${hits} of ${total})` : "none there"),
      box("of these answers right (precision)", answers ? `${percent(hits / answers)} (${hits} of ${answers})` : "no answer"), box("cost (a false alarm costs 1)", (Number(cost.value) * (total - hits) + answers - hits).toLocaleString("en")));
  };
  slider.addEventListener("input", draw); cost.addEventListener("input", draw);
  draw();
  show("threshold", make("section", { class: "panel" }, make("h2", {}, "A threshold for one class"),
    make("div", { class: "row" }, choose("class", state.run.classes, name, attempt(showThreshold)), make("label", {}, `a missed ${name} costs`, cost, "times a false alarm")),
    make("p", { id: "threshold-words" }, head ? `Further to the right the answer is ${name} more readily: more images labelled ${name} are found, and more others are called so. At 0 the answers are as they are. The number is added to the similarity of stored images labelled ${name}.`
      : `Further to the left the answer is ${name} more readily: more images labelled ${name} are found, and more others are called so.`),
    make("label", { for: "threshold" }, head ? `How much more similar stored images labelled ${name} count` : `Answer ${name} from this probability on`), slider, numbers,
    make("p", { class: "soft" }, "This is on the test images, to look at. A threshold that is kept is chosen on validation images: whence evaluate RUN --target-recall, or whence train --target-recall.")));
}

const SHOW = { ask: again, tests: showTests, overview: showOverview, stored: showStored, map: () => showMap(), threshold: () => showThreshold() };

// An image may be dropped anywhere: beside the marked place a browser would leave this page for it.

document.addEventListener("dragover", event => { event.preventDefault(); document.querySelector(".drop")?.classList.add("over"); });
document.addEventListener("dragleave", event => { if (!event.relatedTarget) document.querySelector(".drop")?.classList.remove("over"); });
document.addEventListener("drop", attempt(event => {
  event.preventDefault();
  document.querySelector(".drop")?.classList.remove("over");
  return event.dataTransfer.files.length ? bring([...event.dataTransfer.files]) : null;
}));
addEventListener("beforeunload", event => {
  if (state.run?.edits.changed && JSON.stringify(state.run.edits.steps) !== state.saved) event.preventDefault(); // asks before they are lost
});

attempt(async () => {
  state.run = await call("describe");
  document.getElementById("run").textContent = state.run.run;
  document.title = `${state.run.run} - whence`;
  document.getElementById("notes").replaceChildren(...state.run.notes.map(text => make("p", {}, text)));
  if (!state.run.memory) delete VIEWS.stored;
  if (!state.run.tests) { delete VIEWS.tests; delete VIEWS.overview; delete VIEWS.threshold; if (!state.run.memory) delete VIEWS.map; }
  drawViews();
  if (state.run.tests) await ask("test", 0); else drawAsk();
})();
