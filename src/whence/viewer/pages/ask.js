"use strict";

// An image is asked about: the chooser, the answers, the cards of stored images.

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
  const said = one => `${one.answer}, ${percent(one.share)}. ${one.doubt.title}`;
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
    [found.decided, found.reading].filter(Boolean).map(text => make("p", {}, text)),
    found.nearest.length > 1 ? [make("h3", {}, "The most similar stored image of each likely class"),
      make("ul", { class: "cards nearest" }, found.nearest.map(one => drawCard(one, id, false)))] : null,
    found.evidence.length ? [make("h3", {}, "What the answer was computed from"), id === "before" ? drawWords() : null,
      make("ul", { class: "cards evidence" }, found.evidence.slice(0, 12).map(one => drawCard(one, id, true))),
      found.evidence.length > 12 ? make("details", { class: "more" }, make("summary", {}, `${found.weighed - 12} more with a weight`),
        make("ul", { class: "cards" }, found.evidence.slice(12).map(one => drawCard(one, id, true))), make("p", { class: "soft" }, found.rest)) : null] : null);
}

function drawWords() {
  return make("details", { class: "soft" }, make("summary", {}, "What the words on the cards mean"), make("ul", {},
    make("li", {}, "weight: the share of this stored image in the answer; all weights together are 100%"),
    make("li", {}, `similarity: how alike the model finds the two images${state.run.similarity === "cosine" ? "; 1 is the same, 0 and below nothing in common" : "; the higher, the more"}`),
    make("li", {}, "the list of classes: the label of the stored image; choose another one to see what the answer would be"),
    make("li", {}, "counts: take the tick away, and the answer is computed without this image"),
    make("li", {}, "pin: this image stays when you leave out its class or its files")));
}

function drawCard(one, id, weighs) {
  const mine = id !== "beside" && state.run.memory && !one.added; // a person may change it
  const weight = one.weight === 0 ? "no weight" : `weight ${percent(one.weight)}`;
  return make("li", { class: `card ${one.role || ""} ${one.removed ? "out" : ""}`, "data-index": one.index },
    picture(one.picture, `${one.name}, labelled ${one.label}`), make("b", {}, weight),
    weighs && one.weight ? make("meter", { min: 0, max: 1, value: one.weight, "aria-label": "weight" }) : null,
    make("span", {}, `similarity ${one.similarity.toFixed(3)}`),
    mine ? drawLabel(one) : make("span", {}, one.label), named(one.name), drawMarks(one),
    mine ? make("div", { class: "row" }, drawTick(one), drawPin(one)) : null);
}

// What the model says against the label of a stored image, and what a person did with it.

function drawMarks(one) {
  return [one.note ? make("span", { class: "soft" }, one.note) : null, one.added ? make("span", { class: "changed" }, "added by you") : null,
    one.relabelled ? make("span", { class: "changed" }, "relabelled") : null];
}

function drawLabel(one) {
  const names = state.run.classes;
  return make("select", { value: one.label, "aria-label": `label of ${one.name}`, onchange: attempt(event => change({ kind: "relabel", index: one.index, label: event.target.value })) },
    names.map(name => make("option", { value: name }, name)), names.includes(one.label) ? null : make("option", { value: one.label, disabled: true }, one.label));
}

function drawTick(one) {
  const box = make("input", { type: "checkbox", checked: !one.removed, "aria-label": `${one.name} counts`,
    onchange: attempt(event => change({ kind: event.target.checked ? "tick" : "untick", index: one.index })) });
  return make("label", {}, box, "counts");
}

function drawPin(one) {
  return make("button", { type: "button", "aria-pressed": one.pinned ? "true" : "false", "aria-label": `${one.pinned ? "unpin" : "pin"} ${one.name}`,
    onclick: attempt(() => change({ kind: one.pinned ? "unpin" : "pin", index: one.index })) }, one.pinned ? "pinned" : "pin");
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
