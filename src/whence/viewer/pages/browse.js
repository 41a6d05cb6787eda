"use strict";

// Lists of test images and stored images, and all answers summed up.

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
      named(one.name))))));
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
    make("b", {}, one.label), named(one.name), drawMarks(one),
    one.removed ? make("span", { class: "changed" }, "left out") : null, more(one))));
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
