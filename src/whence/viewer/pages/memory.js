"use strict";

// The memory is changed, step by step, and saved.

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
    state.run.files ? make("div", { class: "row" }, make("label", {}, `files, such as ${state.run.files}`, pattern), make("button", { type: "button", onclick: attempt(() => change({ kind: "untick_files", pattern: pattern.value })) }, "Leave these files out")) : null,
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
