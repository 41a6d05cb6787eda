"use strict";

// The views and the start. The other scripts come before; this one begins.

const VIEWS = { ask: "Ask", tests: "Test images", overview: "Overview", stored: "Stored images", map: "Map", threshold: "Threshold" };
const WAITING = { ask: "Asking ...", tests: "Answering the test images; the first time this takes a while ...", overview: "Answering all test images and summing up; the first time this takes a while ...",
  stored: "Listing the stored images ...", map: "Drawing the map, for which all images are compared; this may take a minute ...", threshold: "Answering the test images for this class; the first time this takes a while ..." };

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
